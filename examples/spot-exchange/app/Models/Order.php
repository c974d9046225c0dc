<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/**
 * A row of `orders`.
 *
 * Amounts have no cast, since Laravel's decimal cast makes them floats on the way. They are the
 * strings that the database returns.
 */
class Order extends Model
{
    use BuffersWrites;

    /** The exchange makes the id. */
    public $incrementing = false;

    /** The exchange sets the times, not the moment in which a row is saved. */
    public $timestamps = false;

    protected $guarded = [];
}
