<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;

/** A row of `balances`: what a user has of an asset. Amounts are strings, as in {@see Order}. */
class Balance extends Model
{
    public const KEY = ['user_id', 'asset'];

    public $incrementing = false;

    public $timestamps = false;

    protected $guarded = [];

    /** Eloquent does not know composite keys, so this tells save() which row it writes. */
    protected function setKeysForSaveQuery($query): Builder
    {
        foreach (self::KEY as $column) {
            $query->where($column, '=', $this->original[$column] ?? $this->getAttribute($column));
        }

        return $query;
    }
}
