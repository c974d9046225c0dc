<?php

declare(strict_types=1);

namespace App\Matching;

use App\Exceptions\OrderRejectedException;
use LogicException;

/**
 * Owns what each user has of each asset: an available part, and a part reserved for resting orders.
 *
 * Invariant: no balance is negative, and only deposits change the sum of an asset over all users.
 */
final class Accounts
{
    /** @var array<int, array<string, Balance>> by user, then asset */
    private array $balances = [];

    /** @var array<string, Balance> changed since takeChanged(), in the order of the first change */
    private array $changed = [];

    /** Takes over a balance that was saved. */
    public function open(Balance $balance): void
    {
        $this->balances[$balance->userId][$balance->asset] = $balance;
    }

    public function available(int $userId, string $asset): string
    {
        return $this->balances[$userId][$asset]->available ?? Decimal::ZERO;
    }

    public function reserved(int $userId, string $asset): string
    {
        return $this->balances[$userId][$asset]->reserved ?? Decimal::ZERO;
    }

    /** Adds to the available part: a deposit, or the proceeds of a fill. */
    public function credit(int $userId, string $asset, string $amount): void
    {
        $balance = $this->change($userId, $asset);
        $balance->available = bcadd($balance->available, $amount, Decimal::SCALE);
    }

    /**
     * Moves an amount from the available to the reserved part.
     *
     * @throws OrderRejectedException the available part is too small; nothing was moved
     */
    public function reserve(int $userId, string $asset, string $amount): void
    {
        $left = bcsub($this->available($userId, $asset), $amount, Decimal::SCALE);
        if ($left[0] === '-') {
            throw new OrderRejectedException("User {$userId} does not have the {$asset} that the order needs.");
        }
        $balance = $this->change($userId, $asset);
        $balance->available = $left;
        $balance->reserved = bcadd($balance->reserved, $amount, Decimal::SCALE);
    }

    /** Moves an amount back from the reserved to the available part. */
    public function release(int $userId, string $asset, string $amount): void
    {
        $this->spendReserved($userId, $asset, $amount);
        $this->credit($userId, $asset, $amount);
    }

    public function spendReserved(int $userId, string $asset, string $amount): void
    {
        $balance = $this->change($userId, $asset);
        $balance->reserved = self::subtract($balance->reserved, $amount, $userId, $asset);
    }

    public function spendAvailable(int $userId, string $asset, string $amount): void
    {
        $balance = $this->change($userId, $asset);
        $balance->available = self::subtract($balance->available, $amount, $userId, $asset);
    }

    /** The sum of an asset over all users, with the reserved parts. */
    public function total(string $asset): string
    {
        $total = Decimal::ZERO;
        foreach ($this->balances as $ofUser) {
            if (isset($ofUser[$asset])) {
                $total = bcadd($total, $ofUser[$asset]->available, Decimal::SCALE);
                $total = bcadd($total, $ofUser[$asset]->reserved, Decimal::SCALE);
            }
        }

        return $total;
    }

    /**
     * The balances that changed since the last call, each once.
     *
     * @param string $at when they changed, `Y-m-d H:i:s.u`
     *
     * @return list<Balance>
     */
    public function takeChanged(string $at): array
    {
        $changed = array_values($this->changed);
        foreach ($changed as $balance) {
            $balance->updatedAt = $at;
        }
        $this->changed = [];

        return $changed;
    }

    private function change(int $userId, string $asset): Balance
    {
        $balance = $this->balances[$userId][$asset] ??= new Balance($userId, $asset);
        $this->changed["{$userId} {$asset}"] = $balance;

        return $balance;
    }

    private static function subtract(string $from, string $amount, int $userId, string $asset): string
    {
        $left = bcsub($from, $amount, Decimal::SCALE);
        if ($left[0] === '-') {
            throw new LogicException("The {$asset} of user {$userId} would become negative by {$amount}.");
        }

        return $left;
    }
}
