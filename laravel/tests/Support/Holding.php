<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Model;

/** A model whose key has two columns, as applications write it: Eloquent knows keys of one. */
class Holding extends Model
{
    public $incrementing = false;

    protected $table = 'wb_holdings';

    protected $guarded = [];

    protected function setKeysForSaveQuery($query)
    {
        foreach (['user_id', 'asset'] as $column) {
            $query->where($column, '=', $this->original[$column] ?? $this->getAttribute($column));
        }

        return $query;
    }
}
