<?php

declare(strict_types=1);

namespace Bench;

use Illuminate\Database\Eloquent\Model;

/** A row of `trades`, in an application that knows nothing of the extension. */
final class Trade extends Model
{
    public $incrementing = false;

    public $timestamps = false;

    protected $guarded = [];
}
