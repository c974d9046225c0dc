<?php

declare(strict_types=1);

// There are none; Laravel's responses ask for them all the same.
return [

    'paths' => [],

    'compiled' => storage_path('framework/views'),

];
