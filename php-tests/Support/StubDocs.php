<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PhpParser\Node;
use PhpParser\Node\Stmt\ClassLike;
use PhpParser\Node\Stmt\ClassMethod;
use PhpParser\NodeFinder;
use PhpParser\NodeTraverser;
use PhpParser\NodeVisitor\NameResolver;
use PhpParser\ParserFactory;
use PHPStan\PhpDocParser\Ast\PhpDoc\PhpDocNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\TypeAliasImportTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\TypeAliasTagValueNode;
use PHPStan\PhpDocParser\Ast\Type\TypeNode;
use PHPStan\PhpDocParser\Lexer\Lexer;
use PHPStan\PhpDocParser\Parser\ConstExprParser;
use PHPStan\PhpDocParser\Parser\PhpDocParser;
use PHPStan\PhpDocParser\Parser\TokenIterator;
use PHPStan\PhpDocParser\Parser\TypeParser;
use PHPStan\PhpDocParser\ParserConfig;

/**
 * The stub, read by the parsers that PHPStan reads code and doc blocks with. Takes both versions of
 * each that Debian has.
 */
final class StubDocs
{
    /** Why a test is skipped. */
    public const UNREADABLE = 'the parsers are not there (Debian: php-parser, php-phpstan-phpdoc-parser)';

    /** @var array<string, ClassLike> by their full names */
    public readonly array $classes;

    private readonly Lexer $lexer;

    private readonly PhpDocParser $parser;

    /** Whether this machine has the parsers. */
    public static function canBeRead(): bool
    {
        foreach (['PhpParser', 'PHPStan/PhpDocParser'] as $package) {
            $file = stream_resolve_include_path("{$package}/autoload.php");
            if ($file !== false) {
                require_once $file;
            }
        }

        return class_exists(ParserFactory::class) && class_exists(PhpDocParser::class);
    }

    public static function ofTheStub(): self
    {
        static $stub = null;

        return $stub ??= new self((string) file_get_contents(dirname(__DIR__, 2) . '/stubs/write_buffer.stub.php'));
    }

    public function __construct(string $code)
    {
        if (class_exists(ParserConfig::class)) {
            $config = new ParserConfig([]);
            $constants = new ConstExprParser($config);
            $this->lexer = new Lexer($config);
            $this->parser = new PhpDocParser($config, new TypeParser($config, $constants), $constants);
        } else {
            $constants = new ConstExprParser();
            $this->lexer = new Lexer();
            $this->parser = new PhpDocParser(new TypeParser($constants), $constants);
        }
        $factory = new ParserFactory();
        $parser = method_exists($factory, 'createForHostVersion')
            ? $factory->createForHostVersion()
            : $factory->create(ParserFactory::ONLY_PHP7);
        $traverser = new NodeTraverser();
        $traverser->addVisitor(new NameResolver());
        $nodes = $traverser->traverse((array) $parser->parse($code));
        $classes = [];
        foreach ((new NodeFinder())->findInstanceOf($nodes, ClassLike::class) as $class) {
            $classes[(string) $class->namespacedName] = $class;
        }
        $this->classes = $classes;
    }

    /** @return iterable<string, array{string, Node}> a documented node's class, and the node */
    public function documented(): iterable
    {
        foreach ($this->classes as $name => $class) {
            foreach ([$class, ...$class->stmts] as $node) {
                if ($node->getDocComment() !== null) {
                    $member = $node === $class ? '' : '::' . ($node->name ?? $node->consts[0]->name);
                    yield "{$name}{$member}" => [$name, $node];
                }
            }
        }
    }

    /** A node's doc block; null: it has none. */
    public function doc(Node $node): ?PhpDocNode
    {
        $text = $node->getDocComment()?->getText();

        return $text === null ? null : $this->parser->parse(new TokenIterator($this->lexer->tokenize($text)));
    }

    public function method(string $class, string $name): ?ClassMethod
    {
        return ($this->classes[$class] ?? null)?->getMethod($name);
    }

    /** @return array<string, TypeNode> the types that a class gives names to */
    public function aliases(string $class): array
    {
        $aliases = [];
        foreach ($this->tagsOf($class, TypeAliasTagValueNode::class) as $tag) {
            $aliases[$tag->alias] = $tag->type;
        }

        return $aliases;
    }

    /** @return array<string, array{string, string}> imports: the class, and the name there */
    public function imports(string $class): array
    {
        $imports = [];
        foreach ($this->tagsOf($class, TypeAliasImportTagValueNode::class) as $tag) {
            $from = $this->fullName($tag->importedFrom->name, $class);
            $imports[$tag->importedAs ?? $tag->importedAlias] = [$from, $tag->importedAlias];
        }

        return $imports;
    }

    /** A class's full name, as a doc block within another class means it. */
    public function fullName(string $name, string $within): string
    {
        if (str_starts_with($name, '\\')) {
            return substr($name, 1);
        }
        $namespace = substr($within, 0, (int) strrpos($within, '\\'));

        return $namespace === '' ? $name : "{$namespace}\\{$name}";
    }

    /** @return iterable<\PHPStan\PhpDocParser\Ast\PhpDoc\PhpDocTagValueNode> */
    private function tagsOf(string $class, string $kind): iterable
    {
        foreach ($this->doc($this->classes[$class])?->getTags() ?? [] as $tag) {
            if ($tag->value instanceof $kind) {
                yield $tag->value;
            }
        }
    }
}
