<?php

declare(strict_types=1);

// There are no views, but Laravel's responses read this configuration.
return [

    'paths' => [],

    'compiled' => storage_path('framework/views'),

];
