<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Integration;

use PHPUnit\Framework\Attributes\DataProvider;
use WriteBuffer\Tests\Support\DatabaseTestCase;
use WriteBuffer\Tests\Support\Script;
use WriteBuffer\Tests\Support\ServesPages;

/**
 * The programs of `examples/plain` run as they stand, each in a process of its own. Then the tables
 * are compared with what plain PHP makes of the same input.
 */
final class PlainProgramsTest extends DatabaseTestCase
{
    use ServesPages;

    private const ROOT = __DIR__ . '/../..';

    private const FOLDER = self::ROOT . '/examples/plain';

    private const DATABASE = 'write_buffer_examples';

    private const LINES_MAX = 39;

    /** Programs whose framework is a package of its own, and the file that loads it. */
    private const FRAMEWORKS = [
        'symfony-command' => 'Symfony/Component/Console/autoload.php',
        'symfony-controller' => 'Symfony/Component/HttpKernel/autoload.php',
        'symfony-messenger' => 'Symfony/Component/Messenger/autoload.php',
        'doctrine' => 'Doctrine/ORM/autoload.php',
        'doctrine-entities' => 'Doctrine/ORM/autoload.php',
    ];

    /** @var list<string> */
    private array $files = [];

    protected function setUp(): void
    {
        parent::setUp();
        $this->admin()->exec('DROP DATABASE IF EXISTS ' . self::DATABASE);
        $this->admin()->exec('CREATE DATABASE ' . self::DATABASE);
        $this->dropLater('DROP DATABASE ' . self::DATABASE);
    }

    protected function tearDown(): void
    {
        $this->stopServing();
        array_map('unlink', array_filter($this->files, 'is_file'));
        $this->files = [];
        parent::tearDown();
    }

    /** @return iterable<string, array{string}> */
    public static function programs(): iterable
    {
        foreach (glob(self::FOLDER . '/*.php') as $file) {
            $name = basename($file, '.php');
            if ($name !== 'bootstrap') {
                yield $name => [$name];
            }
        }
    }

    /**
     * @dataProvider programs
     */
    #[DataProvider('programs')]
    public function testAProgramLeavesWhatItShould(string $program): void
    {
        $framework = self::FRAMEWORKS[$program] ?? null;
        if ($framework !== null && stream_resolve_include_path($framework) === false) {
            self::markTestSkipped("{$framework} is missing; run: scripts/install-packages test");
        }
        if ($program === 'symfony-command' && !extension_loaded('intl')) {
            self::markTestSkipped('the extension intl, which the console of Symfony uses, is not there');
        }
        match ($program) {
            'balances' => $this->checkBalances(),
            'counter' => $this->checkCounter(),
            'deletes' => $this->checkDeletes(),
            'doctrine' => $this->checkDoctrine(),
            'doctrine-entities' => $this->checkDoctrineEntities(),
            'endpoint' => $this->checkEndpoint(),
            'events' => $this->checkEvents(new Script([self::FOLDER . '/events.php'], self::environment())),
            'failures' => $this->checkFailures(),
            'group' => $this->checkGroup(),
            'import-csv' => $this->checkImportCsv(),
            'last-seen' => $this->checkLastSeen(),
            'metrics' => $this->checkMetrics(),
            'symfony-command' => $this->checkSymfonyCommand(),
            'symfony-controller' => $this->checkSymfonyController(),
            'symfony-messenger' => $this->checkSymfonyMessenger(),
            'worker' => $this->checkWorker(),
        };
    }

    public function testTheLinesOfTheReadmeRunAsTheyStand(): void
    {
        $readme = (string) file_get_contents(self::ROOT . '/README.md');
        self::assertSame(1, preg_match('/^```sql\n(.*?)^```$/ms', $readme, $sql));
        self::assertSame(1, preg_match('/^```php\n(.*?)^```$/ms', $readme, $php));
        self::assertLessThanOrEqual(10, substr_count($php[1], "\n"), 'ten lines');
        $this->admin()->exec('USE ' . self::DATABASE);
        $this->admin()->exec($sql[1]);

        $this->checkEvents(new Script(['-r', $php[1]], self::environment()));
    }

    /** Which also says that there are 15 of them, and what is in the folder beside them. */
    public function testEachProgramIsShort(): void
    {
        self::assertGreaterThanOrEqual(15, count([...self::programs()]));
        foreach ([...glob(self::FOLDER . '/*.php'), ...glob(self::FOLDER . '/*/*.php')] as $file) {
            self::assertLessThanOrEqual(self::LINES_MAX, count((array) file($file)), $file);
        }
    }

    private function checkEvents(Script $program): void
    {
        $before = gmdate('Y-m-d H:i:s');
        self::assertMatchesRegularExpression('/^10000 rows in \d{1,3} transactions\n$/D', $program->finish());

        $expected = [];
        for ($item = 1; $item <= 10_000; $item++) {
            $expected[] = ['kind' => 'view', 'page' => "/items/{$item}"];
        }
        self::assertSame($expected, $this->table('events', 'kind, page', 'id'));
        $this->assertMoments('events', $before);
    }

    private function checkImportCsv(): void
    {
        $expected = [];
        $lines = "sku,name,price\n";
        for ($number = 1; $number <= 2_500; $number++) {
            $isBad = $number % 1_000 === 0;
            $price = $isBad ? 'n/a' : sprintf('%d.%02d', $number, $number % 100);
            $lines .= "sku-{$number},\"Product, {$number}\",{$price}\n";
            if (!$isBad) {
                $expected[] = ['sku' => "sku-{$number}", 'name' => "Product, {$number}", 'price' => $price];
            }
        }
        self::assertMatchesRegularExpression(
            "/^1000 rows read\n2000 rows read\n2500 rows read\nrefused: sku-1000: [^\n]*n\/a.*\nrefused: sku-2000: .*\n$/D",
            $this->runProgram('import-csv', [$this->file($lines)]),
        );
        self::assertSame($expected, $this->table('products', '*', 'price'));
    }

    private function checkCounter(): void
    {
        $lines = '';
        $counts = [];
        for ($number = 0; $number < 3_000; $number++) {
            [$day, $page] = [sprintf('2026-11-%02d', 25 + $number % 3), '/items/' . $number ** 2 % 17];
            $lines .= "{$day} {$page}\n";
            $counts["{$day} {$page}"] = (string) (($counts["{$day} {$page}"] ?? 0) + 2);
        }
        $this->runTwice('counter', $lines, $lines);

        ksort($counts);
        $rows = $this->table('page_views', "CONCAT(day, ' ', page) AS what, views", 'BINARY what');
        self::assertSame($counts, array_column($rows, 'views', 'what'));
    }

    private function checkLastSeen(): void
    {
        $messages = [];
        $last = [];
        for ($number = 0; $number < 2_000; $number++) {
            $at = sprintf('2026-11-27 12:%02d:%02d.%03d', intdiv($number, 60), $number % 60, $number % 997);
            $device = $number ** 2 % 23;
            $messages[] = json_encode(['id' => $device, 'at' => $at, 'battery' => $number % 101]);
            $last[$device] = ['id' => (string) $device, 'at' => $at, 'battery' => (string) ($number % 101)];
        }
        // Each process has every other message, the last ones first.
        $halves = [[], []];
        foreach (array_reverse($messages) as $number => $message) {
            $halves[$number % 2][] = $message . "\n";
        }
        $this->runTwice('last-seen', implode($halves[0]), implode($halves[1]));

        ksort($last);
        self::assertSame(array_values($last), $this->table('devices'));
    }

    private function checkBalances(): void
    {
        $lines = '';
        $balances = [];
        for ($number = 1; $number <= 1_500; $number++) {
            [$from, $to] = [$number % 5, ($number + 1 + $number % 3) % 5];
            $amount = sprintf('%d.%08d', $number % 7, $number ** 3 % 99_999_999);
            $lines .= "{$from} {$to} BTC {$amount}\n";
            // Twice, by two processes.
            $balances[$from] = bcsub($balances[$from] ?? '0', bcmul($amount, '2', 8), 8);
            $balances[$to] = bcadd($balances[$to] ?? '0', bcmul($amount, '2', 8), 8);
        }
        $this->runTwice('balances', $lines, $lines);

        ksort($balances);
        self::assertSame($balances, array_column($this->table('balances'), 'amount', 'user_id'));
    }

    private function checkWorker(): void
    {
        $this->createTables();
        $expected = [];
        for ($number = 1; $number <= 250; $number++) {
            // Of each hundred three have no word, which is against the table's CHECK.
            $words = $number % 30;
            $this->admin()->prepare('INSERT INTO jobs (text) VALUES (?)')->execute([str_repeat('word ', $words)]);
            if ($words > 0) {
                $expected[] = ['job_id' => (string) $number, 'words' => (string) $words];
            }
        }
        $worker = new Script([self::FOLDER . '/worker.php'], self::environment());
        self::await('the worker', function () use ($worker, $expected): bool {
            // In one statement, so of one moment.
            $known = $this->value('SELECT COUNT(*) FROM (SELECT id FROM ' . self::DATABASE . ".jobs WHERE text <> ''"
                . ' UNION SELECT job_id FROM ' . self::DATABASE . '.results) AS known');
            self::assertSame((string) count($expected), $known, 'a job has gone before its result was there');

            return !$worker->isRunning() || $this->table('jobs') === [];
        });
        $worker->signal(SIGTERM);

        self::assertMatchesRegularExpression("/^(refused: gave up [23] rows .*\n){3}stopped\n$/D", $worker->finish());
        self::assertSame($expected, $this->table('results'));
    }

    private function checkEndpoint(): void
    {
        $url = $this->serve(self::FOLDER . '/endpoint.php', self::environment());
        $this->checkOrders($url);
        self::assertSame(400, self::post($url, 'no order'));

        // While another transaction has the key, nobody can say more than: try again.
        $this->pdo()->exec('USE ' . self::DATABASE);
        $this->pdo()->beginTransaction();
        $this->pdo()->exec("INSERT INTO orders VALUES (99, 'another', 1)");
        self::assertSame(503, self::post($url, ['id' => 99, 'customer' => 'Ada', 'total' => '9.90']));
        $this->pdo()->rollBack();
        self::await('the order', fn (): bool => in_array('99', array_column($this->table('orders'), 'id'), true));
    }

    private function checkSymfonyController(): void
    {
        $this->checkOrders($this->serve(self::FOLDER . '/symfony-controller.php', self::environment()));
    }

    /** An order is in the table when the answer is there. */
    private function checkOrders(string $url): void
    {
        $expected = [];
        for ($id = 1; $id <= 12; $id++) {
            $order = ['id' => $id, 'customer' => "customer {$id}", 'total' => $id % 4 === 0 ? 'much' : "{$id}.50"];
            $status = 0;
            // What a client does that is told to try again, as on a busy machine: the same id.
            self::await('an answer', static function () use ($url, $order, &$status): bool {
                $status = self::post($url, $order);

                return $status !== 503;
            });
            self::assertSame($id % 4 === 0 ? 422 : 201, $status);
            if ($id % 4 !== 0) {
                $expected[] = array_map('strval', $order);
            }
            self::assertSame($expected, $this->table('orders'));
        }
    }

    private function checkDeletes(): void
    {
        $this->createTables();
        $this->admin()->exec("INSERT INTO cart_items VALUES (1, 'sku-1', 9), (1, 'sku-2', 9), (99, 'sku-1', 9)");
        $commands = '';
        $items = ['1 sku-1' => [1, 'sku-1', 9], '1 sku-2' => [1, 'sku-2', 9], '99 sku-1' => [99, 'sku-1', 9]];
        for ($number = 0; $number < 3_000; $number++) {
            [$user, $sku] = [$number % 7, 'sku-' . $number ** 2 % 11];
            if ($number % 3 === 0) {
                $commands .= "remove {$user} {$sku}\n";
                unset($items["{$user} {$sku}"]);
            } else {
                $commands .= "put {$user} {$sku} {$number}\n";
                $items["{$user} {$sku}"] = [$user, $sku, $number];
            }
        }
        self::assertSame('', $this->runProgram('deletes', [], $commands));
        sort($items);
        self::assertNotEmpty($items);
        self::assertSame(
            array_map(static fn (array $item): array => array_map('strval', $item), $items),
            array_map('array_values', $this->table('cart_items', '*', 'user_id, sku')),
        );
    }

    private function checkGroup(): void
    {
        $lines = $refused = '';
        $orders = $items = $stock = [];
        for ($id = 1; $id <= 300; $id++) {
            $order = ['id' => $id, 'customer' => "customer {$id}", 'total' => "{$id}.00"];
            $bought = [['sku' => 'pear', 'quantity' => $id % 5 + 1], ['sku' => "x{$id}", 'quantity' => $id % 100]];
            $lines .= json_encode($order + ['items' => $bought]) . "\n";
            // A quantity of 0 is against the table's CHECK.
            if ($id % 100 === 0) {
                $refused .= "refused: order {$id}\n";
                continue;
            }
            $orders[] = array_map('strval', $order);
            foreach ($bought as ['sku' => $sku, 'quantity' => $quantity]) {
                $items[] = ['order_id' => (string) $id, 'sku' => $sku, 'quantity' => (string) $quantity];
                $stock[$sku] = (string) (($stock[$sku] ?? 0) - $quantity);
            }
        }
        self::assertSame($refused, $this->runProgram('group', [], $lines));
        ksort($stock);
        self::assertSame($orders, $this->table('orders'));
        self::assertSame($items, $this->table('order_items'));
        self::assertSame($stock, array_column($this->table('stock', '*', 'BINARY sku'), 'quantity', 'sku'));
    }

    private function checkFailures(): void
    {
        $file = $this->file('');
        unlink($file);
        self::assertSame("second: refused, error 1452\n1 written\n", $this->runProgram('failures', [$file]));
        self::assertFileDoesNotExist($file);
        $at = '2026-11-27 12:00:00.000';
        self::assertSame(
            [
                ['sensor_id' => '1', 'at' => $at, 'value' => '20.500'],
                ['sensor_id' => '2', 'at' => $at, 'value' => '21.500'],
            ],
            $this->table('readings'),
        );
    }

    private function checkMetrics(): void
    {
        $url = $this->serve(self::FOLDER . '/metrics.php', self::environment());
        file_get_contents($url);
        preg_match_all('/^write_buffer_(\w+)\{process="\d+"\} (\S+)$/m', (string) file_get_contents($url), $metrics);
        $values = array_combine($metrics[1], $metrics[2]);
        // The buffer is one for both requests.
        self::assertSame(['2', '2'], [$values['flush_count'], $values['total_flushed']]);
        self::assertGreaterThan(0.0, (float) $values['total_flush_time_ms']);
        self::assertSame(
            array_fill(0, 2, ['kind' => 'scrape', 'page' => '/metrics']),
            $this->table('events', 'kind, page'),
        );
    }

    private function checkSymfonyCommand(): void
    {
        $lines = '';
        $expected = [];
        for ($number = 1_001; $number <= 3_500; $number++) {
            $product = ['sku' => "sku-{$number}", 'name' => "Product {$number}", 'price' => "{$number}.50"];
            $lines .= json_encode($product) . "\n";
            $expected[] = $product;
        }
        $output = $this->runProgram('symfony-command', ['import:products', '--no-ansi', $this->file($lines)]);
        self::assertMatchesRegularExpression('/^\s*1000 \[>-+\] 2500 products\n$/D', $output);
        self::assertSame($expected, $this->table('products'));
    }

    private function checkSymfonyMessenger(): void
    {
        self::assertSame("24 acknowledged, 1 rejected\n", $this->runProgram('symfony-messenger'));
        $expected = [];
        foreach ([...range(1, 12), ...range(14, 25)] as $id) {
            $expected[] = ['id' => (string) $id, 'customer' => "customer {$id}", 'total' => "{$id}.50"];
        }
        self::assertSame($expected, $this->table('orders'));
    }

    private function checkDoctrine(): void
    {
        self::assertSame('', $this->runProgram('doctrine'));
        self::assertSame(
            [
                ['id' => '1', 'name' => 'Ada Lovelace', 'city' => 'Turin'],
                ['id' => '2', 'name' => 'Grace', 'city' => 'Arlington'],
            ],
            $this->table('customers'),
        );
        self::assertSame(
            [
                ['customer_id' => '1', 'field' => 'name', 'old' => 'Ada', 'new' => 'Ada Lovelace'],
                ['customer_id' => '1', 'field' => 'city', 'old' => 'London', 'new' => 'Turin'],
            ],
            $this->table('audit', 'customer_id, field, old, new', 'id'),
        );
    }

    private function checkDoctrineEntities(): void
    {
        $before = gmdate('Y-m-d H:i:s');
        $output = $this->runProgram('doctrine-entities');
        $ids = array_column($this->table('visits'), 'id', 'page');
        self::assertCount(1_000, $ids);
        for ($item = 1; $item <= 1_000; $item++) {
            self::assertMatchesRegularExpression('/^[0-9a-f]{32}$/D', $ids["/items/{$item}"]);
        }
        self::assertSame("{$ids['/items/1000']} /items/1000\n", $output);
        $this->assertMoments('visits', $before);
    }

    /** Each row of a table has a moment between another one and now. */
    private function assertMoments(string $table, string $before): void
    {
        $after = gmdate('Y-m-d H:i:s', time() + 1);
        self::assertSame([], $this->table($table, '*', '1', "at NOT BETWEEN '{$before}' AND '{$after}'"));
    }

    /** @return array<string, string> */
    private static function environment(): array
    {
        $dsn = (string) preg_replace('#/[^/]*$#D', '/' . self::DATABASE, self::setting('WRITE_BUFFER_TEST_DSN'));

        // Connecting may take long on a busy machine.
        return ['DATABASE_URL' => "{$dsn}?connect_timeout_ms=60000"];
    }

    /**
     * @param list<string> $arguments
     *
     * @return string what it printed
     */
    private function runProgram(string $program, array $arguments = [], string $input = ''): string
    {
        return (new Script([self::FOLDER . "/{$program}.php", ...$arguments], self::environment(), $input))->finish();
    }

    /** Runs a program that prints nothing as two processes at the same time. */
    private function runTwice(string $program, string $first, string $second): void
    {
        $this->createTables();
        $file = self::FOLDER . "/{$program}.php";
        $one = new Script([$file], self::environment(), $first);
        $two = new Script([$file], self::environment(), $second);
        self::assertSame(['', ''], [$one->finish(), $two->finish()]);
    }

    /** Makes the tables before a program does, for rows that it shall find. */
    private function createTables(): void
    {
        $this->admin()->exec('USE ' . self::DATABASE);
        $schema = (string) file_get_contents(self::FOLDER . '/schema.sql');
        foreach (preg_split('/;\s*/', $schema, -1, PREG_SPLIT_NO_EMPTY) as $statement) {
            $this->admin()->exec($statement);
        }
    }

    /** @return list<array<string, string|null>> rows of a program's table */
    private function table(string $table, string $columns = '*', string $order = '1, 2', string $where = '1 = 1'): array
    {
        return $this->rows(self::DATABASE . ".{$table} WHERE {$where}", $columns, $order);
    }

    /** A file with this content, until the test ends. */
    private function file(string $content): string
    {
        $file = (string) tempnam(sys_get_temp_dir(), 'wb_plain_');
        file_put_contents($file, $content);

        return $this->files[] = $file;
    }
}
