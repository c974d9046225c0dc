<?php

declare(strict_types=1);

return [

    /*
     * The path of the extension, if php.ini does not load it: exchange:demo starts PHP with it.
     */
    'extension' => env('WRITE_BUFFER_EXTENSION'),

    /*
     * Over HTTP orders are placed one at a time, also by many processes. An order waits this long
     * for the orders before it.
     */
    'lock_timeout_s' => (int) env('EXCHANGE_LOCK_TIMEOUT_S', 10),

    /*
     * A market trades its base asset against its quote asset. The scales are how many decimals a
     * price and a quantity may have. Together they must not exceed the 18 decimals of the tables,
     * so that price x quantity is exact. "opening_price", "typical_quantity" and "weight" (a share
     * of the orders) are for the simulated order flow.
     */
    'markets' => [
        'BTC-USDT' => [
            'base' => 'BTC', 'quote' => 'USDT', 'price_scale' => 2, 'quantity_scale' => 5,
            'opening_price' => '64250.00', 'typical_quantity' => '0.02000', 'weight' => 40,
        ],
        'ETH-USDT' => [
            'base' => 'ETH', 'quote' => 'USDT', 'price_scale' => 2, 'quantity_scale' => 4,
            'opening_price' => '3120.50', 'typical_quantity' => '0.4000', 'weight' => 30,
        ],
        'SOL-USDT' => [
            'base' => 'SOL', 'quote' => 'USDT', 'price_scale' => 3, 'quantity_scale' => 3,
            'opening_price' => '148.250', 'typical_quantity' => '8.000', 'weight' => 18,
        ],
        'ETH-BTC' => [
            'base' => 'ETH', 'quote' => 'BTC', 'price_scale' => 6, 'quantity_scale' => 4,
            'opening_price' => '0.048560', 'typical_quantity' => '0.5000', 'weight' => 12,
        ],
    ],

    /*
     * The simulated customers, and what each one has when the simulation begins.
     */
    'simulation' => [
        'users' => 200,
        'deposits' => [
            'USDT' => '5000000',
            'BTC' => '60',
            'ETH' => '900',
            'SOL' => '12000',
        ],
    ],

];
