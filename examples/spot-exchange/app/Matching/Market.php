<?php

declare(strict_types=1);

namespace App\Matching;

use InvalidArgumentException;

/** What is traded under a symbol, and how many decimals its prices and quantities may have. */
final class Market
{
    public function __construct(
        public readonly string $symbol,
        public readonly string $base,
        public readonly string $quote,
        public readonly int $priceScale,
        public readonly int $quantityScale,
    ) {
        if (min($priceScale, $quantityScale) < 0 || $priceScale + $quantityScale > Decimal::SCALE) {
            throw new InvalidArgumentException(
                "Market {$symbol}: price_scale and quantity_scale must not exceed " . Decimal::SCALE . ' together.'
            );
        }
    }

    /**
     * @param array<string, array{
     *     base: string, quote: string, price_scale: int, quantity_scale: int
     * }> $config
     *
     * @return array<string, self> by symbol
     */
    public static function fromConfig(array $config): array
    {
        $markets = [];
        foreach ($config as $symbol => $market) {
            $markets[$symbol] = new self(
                $symbol,
                $market['base'],
                $market['quote'],
                $market['price_scale'],
                $market['quantity_scale'],
            );
        }

        return $markets;
    }
}
