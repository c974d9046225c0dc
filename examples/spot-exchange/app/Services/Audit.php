<?php

declare(strict_types=1);

namespace App\Services;

use App\Matching\Decimal;
use Illuminate\Database\Connection;

/** Owns what must hold in the tables, whoever wrote them: asks the database whether they agree. */
final class Audit
{
    public function __construct(private readonly Connection $connection)
    {
    }

    /**
     * @param array<string, string> $deposits the sum of all deposits, by asset
     *
     * @return list<string> what is wrong; empty: nothing
     */
    public function findings(array $deposits): array
    {
        return [
            ...$this->assetsNotConserved($deposits),
            ...$this->fillsThatDisagree(),
            ...$this->negativeBalances(),
        ];
    }

    /**
     * @param array<string, string> $deposits
     *
     * @return list<string>
     */
    private function assetsNotConserved(array $deposits): array
    {
        $totals = $this->connection->table('balances')
            ->selectRaw('asset, SUM(available + reserved) AS total')
            ->groupBy('asset')
            ->pluck('total', 'asset');

        $findings = [];
        foreach ($deposits as $asset => $deposited) {
            $total = $totals[$asset] ?? Decimal::ZERO;
            if (bccomp((string) $total, $deposited, Decimal::SCALE) !== 0) {
                $findings[] = "{$asset}: {$deposited} was deposited, the balances hold {$total}.";
            }
        }

        return $findings;
    }

    /** @return list<string> */
    private function fillsThatDisagree(): array
    {
        $rows = $this->connection->select(
            'SELECT orders.id, orders.filled_quantity, COALESCE(fills.quantity, 0) AS traded
               FROM orders
               LEFT JOIN (
                    SELECT order_id, SUM(quantity) AS quantity
                      FROM (SELECT maker_order_id AS order_id, quantity FROM trades
                            UNION ALL
                            SELECT taker_order_id, quantity FROM trades) AS sides
                     GROUP BY order_id
               ) AS fills ON fills.order_id = orders.id
              WHERE orders.filled_quantity <> COALESCE(fills.quantity, 0)
                 OR orders.filled_quantity > orders.quantity
                 OR (orders.status = \'filled\') <> (orders.filled_quantity = orders.quantity)
              ORDER BY orders.id
              LIMIT 10'
        );

        return array_map(
            static fn (object $row): string
                => "Order {$row->id}: filled {$row->filled_quantity}, its trades say {$row->traded}.",
            $rows,
        );
    }

    /** @return list<string> */
    private function negativeBalances(): array
    {
        return $this->connection->table('balances')
            ->where('available', '<', 0)
            ->orWhere('reserved', '<', 0)
            ->limit(10)
            ->get()
            ->map(static fn (object $row): string => "User {$row->user_id}: a negative balance of {$row->asset}.")
            ->all();
    }
}
