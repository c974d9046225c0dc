<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;

/** A row of `balances`: what a user owns of an asset. Amounts are strings, as in {@see Order}. */
class Balance extends Model
{
    public const KEY = ['user_id', 'asset'];

    public $incrementing = false;

    public $timestamps = false;

    protected $guarded = [];

    /** Eloquent knows no composite key, so that save() must be told which row it is about. */
    protected function setKeysForSaveQuery($query): Builder
    {
        foreach (self::KEY as $column) {
            $query->where($column, '=', $this->original[$column] ?? $this->getAttribute($column));
        }

        return $query;
    }
}
