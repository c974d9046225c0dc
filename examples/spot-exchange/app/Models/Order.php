<?php

declare(strict_types=1);

namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/**
 * A row of `orders`.
 *
 * Amounts have no cast: Laravel's decimal cast passes them through number_format(), and so through a float. They are
 * the strings that the database gives.
 */
class Order extends Model
{
    use BuffersWrites;

    /** The id is given by the exchange. */
    public $incrementing = false;

    /** Times are the exchange's, not the moment in which a row is saved. */
    public $timestamps = false;

    protected $guarded = [];
}
