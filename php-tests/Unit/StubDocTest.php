<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Unit;

use PhpParser\Node\Expr\Variable;
use PhpParser\Node\Identifier;
use PhpParser\Node\Name;
use PhpParser\Node\NullableType;
use PhpParser\Node\Stmt\ClassMethod;
use PhpParser\Node\UnionType;
use PHPStan\PhpDocParser\Ast\Node;
use PHPStan\PhpDocParser\Ast\PhpDoc\GenericTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\InvalidTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\ParamTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\PhpDocNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\PhpDocTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\ReturnTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\TemplateTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\ThrowsTagValueNode;
use PHPStan\PhpDocParser\Ast\PhpDoc\TypeAliasTagValueNode;
use PHPStan\PhpDocParser\Ast\Type\ArrayShapeNode;
use PHPStan\PhpDocParser\Ast\Type\CallableTypeNode;
use PHPStan\PhpDocParser\Ast\Type\ConstTypeNode;
use PHPStan\PhpDocParser\Ast\Type\GenericTypeNode;
use PHPStan\PhpDocParser\Ast\Type\IdentifierTypeNode;
use PHPStan\PhpDocParser\Ast\Type\InvalidTypeNode;
use PHPStan\PhpDocParser\Ast\Type\NullableTypeNode;
use PHPStan\PhpDocParser\Ast\Type\TypeNode;
use PHPStan\PhpDocParser\Ast\Type\UnionTypeNode;
use PHPUnit\Framework\TestCase;
use WriteBuffer\Tests\Support\StubDocs;

/** What the stub's doc blocks say: each is well formed, and all that they name is there. */
final class StubDocTest extends TestCase
{
    /** PHP's own types, and those that every analyser knows. */
    private const TYPES = [
        'array', 'bool', 'callable', 'false', 'float', 'int', 'iterable', 'list', 'mixed', 'non-empty-array', 'null', 'object',
        'string', 'void',
    ];

    /** Tags that say something to people only, or that the parser does not read. */
    private const PLAIN_TAGS = ['@see', '@phpstan-impure', '@param-immediately-invoked-callable'];

    /** Classes of PHP's that not every PHP has. */
    private const OPTIONAL_CLASSES = ['GMP'];

    protected function setUp(): void
    {
        if (!StubDocs::canBeRead()) {
            self::markTestSkipped(StubDocs::UNREADABLE);
        }
    }

    private static function stub(): StubDocs
    {
        return StubDocs::ofTheStub();
    }

    public function testEachDocBlockIsWellFormed(): void
    {
        $tags = 0;
        foreach (self::stub()->documented() as $where => [, $node]) {
            foreach (self::stub()->doc($node)->getTags() as $tag) {
                self::assertFalse(self::isBroken($tag->value), "{$where}: {$tag->name} {$tag->value}");
                if ($tag->value instanceof GenericTagValueNode) {
                    self::assertContains($tag->name, self::PLAIN_TAGS, "{$where}: a tag that no analyser knows");
                }
                $tags++;
            }
        }
        self::assertGreaterThan(150, $tags);
    }

    public function testEverythingIsDocumented(): void
    {
        foreach (self::stub()->classes as $name => $class) {
            self::assertNotNull($class->getDocComment(), $name);
            foreach ($class->getMethods() as $method) {
                self::assertNotNull(self::documentation($name, $method), "{$name}::{$method->name}()");
            }
        }
    }

    public function testEachTypeIsThere(): void
    {
        $types = 0;
        foreach (self::stub()->documented() as $where => [$class, $node]) {
            $doc = self::stub()->doc($node);
            $names = array_map(static fn (TemplateTagValueNode $tag): string => $tag->name, $doc->getTemplateTagValues());
            $names = [...$names, ...array_keys(self::stub()->aliases($class)), ...array_keys(self::stub()->imports($class))];
            foreach ($doc->getTags() as $tag) {
                foreach (self::typeNamesOf($tag->value) as $type) {
                    $types++;
                    if (!in_array($type, $names, true) && !in_array($type, self::TYPES, true)) {
                        self::assertClassIsThere(self::stub()->fullName($type, $class), "{$where}: {$tag->name} {$tag->value}");
                    }
                }
            }
        }
        self::assertGreaterThan(200, $types);
    }

    public function testTypesFromElsewhereAreThere(): void
    {
        $imported = 0;
        foreach (array_keys(self::stub()->classes) as $class) {
            foreach (self::stub()->imports($class) as [$from, $alias]) {
                $imported++;
                self::assertArrayHasKey($from, self::stub()->classes, "{$class}: {$alias}");
                self::assertArrayHasKey($alias, self::stub()->aliases($from), "{$class} imports it from {$from}");
            }
        }
        self::assertGreaterThan(2, $imported);
    }

    /** A name that nobody uses is one too many. Psalm knows one only below its own line. */
    public function testNamedTypesAreUsedBelowTheirLine(): void
    {
        foreach (self::stub()->classes as $name => $class) {
            $known = array_keys(self::stub()->imports($name));
            foreach (self::stub()->doc($class)->getTags() as $tag) {
                if ($tag->value instanceof TypeAliasTagValueNode) {
                    $later = array_diff(array_keys(self::stub()->aliases($name)), $known);
                    self::assertSame([], array_values(array_intersect(self::typeNamesOf($tag->value->type), $later)), "{$name}: {$tag->value->alias}");
                    $known[] = $tag->value->alias;
                }
            }
            $used = [];
            foreach (self::stub()->documented() as [$where, $node]) {
                $imports = array_filter(self::stub()->imports($where), static fn (array $import): bool => $import[0] === $name);
                foreach (self::stub()->doc($node)->getTags() as $tag) {
                    if ($where === $name || $imports !== []) {
                        $used = [...$used, ...self::typeNamesOf($tag->value)];
                    }
                }
            }
            self::assertSame([], array_values(array_diff($known, $used)), $name);
        }
    }

    public function testEachParameterIsWhatItsMethodTakes(): void
    {
        $documented = 0;
        foreach (self::stub()->documented() as $where => [, $node]) {
            $parameters = [];
            foreach ($node instanceof ClassMethod ? $node->params : [] as $parameter) {
                self::assertInstanceOf(Variable::class, $parameter->var);
                $parameters["\${$parameter->var->name}"] = $parameter;
            }
            $named = [];
            foreach (self::stub()->doc($node)->getTags() as $tag) {
                if (!$tag->value instanceof ParamTagValueNode) {
                    continue;
                }
                $name = $tag->value->parameterName;
                self::assertArrayHasKey($name, $parameters, "{$where}: {$tag->name} {$tag->value}");
                if (self::nativeNames($parameters[$name]->type) !== ['mixed']) {
                    self::assertSame(
                        self::takesNull($parameters[$name]->type),
                        self::takesNull($tag->value->type),
                        "{$where}: whether {$name} may be null",
                    );
                }
                $named[$tag->name][] = $name;
                $documented++;
            }
            foreach ($named as $tag => $names) {
                self::assertSame(array_values(array_intersect(array_keys($parameters), $names)), $names, "{$where}: the order of {$tag}");
            }
        }
        self::assertGreaterThan(50, $documented);
    }

    public function testEachMethodReturnsWhatItsTagSays(): void
    {
        $documented = 0;
        foreach (self::stub()->documented() as $where => [, $node]) {
            foreach (self::stub()->doc($node)->getTags() as $tag) {
                if ($tag->value instanceof ReturnTagValueNode) {
                    self::assertInstanceOf(ClassMethod::class, $node, $where);
                    if (self::nativeNames($node->returnType) !== ['mixed']) {
                        self::assertSame(
                            self::takesNull($node->returnType),
                            self::takesNull($tag->value->type),
                            "{$where}: whether it is null",
                        );
                    }
                    $documented++;
                }
            }
        }
        self::assertGreaterThan(15, $documented);
    }

    /** `array` alone tells an analyser nothing. */
    public function testEachArrayAndCallableHasAShape(): void
    {
        $bare = ['array', 'iterable', 'callable'];
        foreach (self::stub()->classes as $name => $class) {
            foreach ($class->getMethods() as $method) {
                $where = "{$name}::{$method->name}()";
                $shown = [];
                foreach (self::documentation($name, $method)->getTags() as $tag) {
                    $of = match (true) {
                        $tag->value instanceof ParamTagValueNode => $tag->value->parameterName,
                        $tag->value instanceof ReturnTagValueNode => 'return',
                        default => null,
                    };
                    if ($of !== null) {
                        // A tag for analysers stands below the one for people, and counts.
                        $shown[$of] = self::outerNames($tag->value->type);
                    }
                }
                $natives = ['return' => $method->returnType];
                foreach ($method->params as $parameter) {
                    $natives["\${$parameter->var->name}"] = $parameter->type;
                }
                foreach ($natives as $of => $native) {
                    if (array_intersect(self::nativeNames($native), $bare) !== []) {
                        self::assertArrayHasKey($of, $shown, "{$where}: {$of} has no documented type");
                        self::assertSame([], array_values(array_intersect($shown[$of], $bare)), "{$where}: {$of}");
                    }
                }
            }
        }
    }

    public function testEachThrownClassIsAThrowable(): void
    {
        $thrown = 0;
        foreach (self::stub()->documented() as $where => [$class, $node]) {
            foreach (self::stub()->doc($node)->getTags() as $tag) {
                if ($tag->value instanceof ThrowsTagValueNode) {
                    self::assertInstanceOf(IdentifierTypeNode::class, $tag->value->type, "{$where}: {$tag->value}");
                    $name = self::stub()->fullName($tag->value->type->name, $class);
                    self::assertTrue(is_a($name, \Throwable::class, true), "{$where}: @throws {$name}");
                    $thrown++;
                }
            }
        }
        self::assertGreaterThan(80, $thrown);
    }

    public function testEachReferenceLeadsToSomething(): void
    {
        $references = 0;
        foreach (self::stub()->documented() as $where => [$class, $node]) {
            preg_match_all('/@see\s+(\\\\?[A-Z][\w\\\\]*)(?:::(\w+)\(\))?/', (string) $node->getDocComment()?->getText(), $found, PREG_SET_ORDER | PREG_UNMATCHED_AS_NULL);
            foreach ($found as [$reference, $name, $method]) {
                $name = self::stub()->fullName($name, $class);
                self::assertClassIsThere($name, "{$where}: {$reference}");
                self::assertTrue($method === null || method_exists($name, $method), "{$where}: {$reference}");
                $references++;
            }
            self::assertSame(substr_count((string) $node->getDocComment()?->getText(), '@see'), count($found), $where);
        }
        self::assertGreaterThan(15, $references);
    }

    /** What is wrong is found: each change of the stub makes a test above fail. */
    public function testTheParsersFindWhatIsWrong(): void
    {
        $code = <<<'PHP'
            <?php
            namespace WriteBuffer {
                /**
                 * @phpstan-type Broken = array{a: int
                 */
                interface Buffer
                {
                    /**
                     * @param list<Nowhere> $rows
                     *
                     * @return array{a: Elsewhere, b?: callable(Third): int}
                     */
                    public function put(array $rows): array;
                }
            }
            PHP;
        $stub = new StubDocs($code);
        $broken = $stub->doc($stub->classes['WriteBuffer\Buffer'])->getTags();
        self::assertTrue(self::isBroken($broken[0]->value));
        $names = [];
        foreach ($stub->doc($stub->method('WriteBuffer\Buffer', 'put'))->getTags() as $tag) {
            $names = [...$names, ...self::typeNamesOf($tag->value)];
        }
        self::assertSame(['list', 'Nowhere', 'Elsewhere', 'callable', 'Third', 'int'], $names);
    }

    /** A method's own documentation, or that of the interface's method. */
    private static function documentation(string $class, ClassMethod $method): ?PhpDocNode
    {
        $own = self::stub()->doc($method);
        if ($own !== null) {
            return $own;
        }
        foreach (class_implements($class) as $interface) {
            $inherited = self::stub()->method($interface, (string) $method->name);
            if ($inherited !== null) {
                return self::stub()->doc($inherited);
            }
        }

        return null;
    }

    private static function assertClassIsThere(string $name, string $message): void
    {
        if (!in_array($name, self::OPTIONAL_CLASSES, true)) {
            self::assertTrue(class_exists($name) || interface_exists($name), "{$message}: there is no {$name}");
        }
    }

    /** Whether a tag cannot be read. New versions of the parser say so of its type. */
    private static function isBroken(PhpDocTagValueNode $tag): bool
    {
        return $tag instanceof InvalidTagValueNode || ($tag->type ?? null) instanceof InvalidTypeNode;
    }

    /**
     * The names of types in a tag or a type, however deep. The keys of a shape are none, nor what a
     * callable calls its parameters.
     *
     * @return list<string>
     */
    private static function typeNamesOf(Node $node): array
    {
        if ($node instanceof IdentifierTypeNode) {
            return [$node->name];
        }
        $names = [];
        foreach (get_object_vars($node) as $property => $value) {
            foreach (is_array($value) ? $value : [$value] as $child) {
                if ($child instanceof Node && $property !== 'keyName') {
                    $names = [...$names, ...self::typeNamesOf($child)];
                }
            }
        }

        return $names;
    }

    /** @return list<string> the names of a type's alternatives; a shape has none */
    private static function outerNames(TypeNode $type): array
    {
        return match (true) {
            $type instanceof UnionTypeNode => array_merge(...array_map(self::outerNames(...), $type->types)),
            $type instanceof NullableTypeNode => self::outerNames($type->type),
            $type instanceof IdentifierTypeNode => [$type->name],
            $type instanceof GenericTypeNode,
            $type instanceof ArrayShapeNode,
            $type instanceof CallableTypeNode,
            $type instanceof ConstTypeNode => [],
            default => [(string) $type],
        };
    }

    /** @return list<string> */
    private static function nativeNames(?\PhpParser\Node $type): array
    {
        return match (true) {
            $type instanceof UnionType => array_merge(...array_map(self::nativeNames(...), $type->types)),
            $type instanceof NullableType => ['null', ...self::nativeNames($type->type)],
            $type instanceof Identifier, $type instanceof Name => [$type->toString()],
            default => [],
        };
    }

    private static function takesNull(\PhpParser\Node|TypeNode|null $type): bool
    {
        if (!$type instanceof TypeNode) {
            return array_intersect(self::nativeNames($type), ['null', 'mixed']) !== [];
        }
        if ($type instanceof NullableTypeNode) {
            return true;
        }

        return array_intersect(self::outerNames($type), ['null', 'mixed']) !== [];
    }
}
