<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use Illuminate\Database\Eloquent\Model;

/** A model whose table is named by its class. */
class EloquentThing extends Model
{
    public $timestamps = false;

    protected $guarded = [];
}
