<?php

declare(strict_types=1);

namespace WriteBuffer\Laravel\Tests\Support;

use Illuminate\Database\Eloquent\Builder;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\Relations\HasMany;
use Illuminate\Database\Eloquent\SoftDeletes;
use WriteBuffer\Laravel\Eloquent\BuffersWrites;

/** A model with soft deletes and a scope for its tenant, whose rows may be buffered. */
final class Cart extends Model
{
    use BuffersWrites;
    use SoftDeletes;

    public static ?int $tenant = null;

    public $incrementing = false;

    public $timestamps = false;

    protected $table = 'wb_carts';

    protected $keyType = 'string';

    protected $guarded = [];

    protected static function booted(): void
    {
        self::addGlobalScope('tenant', static function (Builder $query): void {
            self::$tenant === null || $query->where('tenant_id', self::$tenant);
        });
    }

    /** @return HasMany<self> */
    public function parts(): HasMany
    {
        return $this->hasMany(self::class, 'parent_id');
    }
}
