<?php

declare(strict_types=1);

namespace WriteBuffer\Tests\Support;

use PHPStan\PhpDocParser\Ast\ConstExpr\ConstExprStringNode;
use PHPStan\PhpDocParser\Ast\Type\ArrayShapeNode;
use PHPStan\PhpDocParser\Ast\Type\ConstTypeNode;
use PHPStan\PhpDocParser\Ast\Type\GenericTypeNode;
use PHPStan\PhpDocParser\Ast\Type\IdentifierTypeNode;
use PHPStan\PhpDocParser\Ast\Type\NullableTypeNode;
use PHPStan\PhpDocParser\Ast\Type\TypeNode;
use PHPStan\PhpDocParser\Ast\Type\UnionTypeNode;
use UnexpectedValueException;

/** Compares values with types of the stub's doc blocks. */
final class Shapes
{
    /** @param string $class the types' names are those that are known there */
    public function __construct(private readonly StubDocs $stub, private readonly string $class)
    {
    }

    /** Where a value is not of a type; null: it is. */
    public function mismatch(TypeNode $type, mixed $value): ?string
    {
        return match (true) {
            $type instanceof NullableTypeNode => $value === null ? null : $this->mismatch($type->type, $value),
            $type instanceof UnionTypeNode => $this->ofNone($type, $value),
            $type instanceof ArrayShapeNode => $this->ofShape($type, $value),
            $type instanceof GenericTypeNode => $this->ofGeneric($type, $value),
            $type instanceof ConstTypeNode => $this->ofConstant($type, $value),
            $type instanceof IdentifierTypeNode => $this->ofName($type, $value),
            default => throw new UnexpectedValueException("what is {$type}?"),
        };
    }

    private function ofNone(UnionTypeNode $type, mixed $value): ?string
    {
        $mismatches = [];
        foreach ($type->types as $one) {
            $mismatch = $this->mismatch($one, $value);
            if ($mismatch === null) {
                return null;
            }
            $mismatches[] = $mismatch;
        }

        return implode('; ', $mismatches);
    }

    private function ofShape(ArrayShapeNode $type, mixed $value): ?string
    {
        if (!is_array($value)) {
            return self::isNot($value, 'an array');
        }
        foreach ($type->items as $item) {
            $key = trim((string) $item->keyName, "'\"");
            if (array_key_exists($key, $value)) {
                $mismatch = $this->mismatch($item->valueType, $value[$key]);
                if ($mismatch !== null) {
                    return "{$key} {$mismatch}";
                }
                unset($value[$key]);
            } elseif (!$item->optional) {
                return "{$key} is missing";
            }
        }

        return $value === [] ? null : array_key_first($value) . ' is too much';
    }

    private function ofGeneric(GenericTypeNode $type, mixed $value): ?string
    {
        [$keyType, $valueType] = [null, ...$type->genericTypes, null];
        if (count($type->genericTypes) === 2) {
            [$keyType, $valueType] = $type->genericTypes;
        }
        $mustBeList = $type->type->name === 'list';
        if (!in_array($type->type->name, ['list', 'array'], true)) {
            throw new UnexpectedValueException("what is {$type}?");
        }
        if (!is_array($value) || ($mustBeList && !array_is_list($value))) {
            return self::isNot($value, $mustBeList ? 'a list' : 'an array');
        }
        foreach ($value as $key => $element) {
            $mismatch = ($keyType === null ? null : $this->mismatch($keyType, $key)) ?? $this->mismatch($valueType, $element);
            if ($mismatch !== null) {
                return "[{$key}] {$mismatch}";
            }
        }

        return null;
    }

    private function ofConstant(ConstTypeNode $type, mixed $value): ?string
    {
        if (!$type->constExpr instanceof ConstExprStringNode) {
            throw new UnexpectedValueException("what is {$type}?");
        }

        return $value === trim($type->constExpr->value, "'\"") ? null : self::isNot($value, (string) $type);
    }

    private function ofName(IdentifierTypeNode $type, mixed $value): ?string
    {
        $isOf = match ($type->name) {
            'mixed' => true,
            'null' => $value === null,
            'false' => $value === false,
            'int' => is_int($value),
            'float' => is_float($value),
            'string' => is_string($value),
            'bool' => is_bool($value),
            'object' => is_object($value),
            default => null,
        };
        if ($isOf !== null) {
            return $isOf ? null : self::isNot($value, $type->name);
        }
        [$from, $alias] = $this->stub->imports($this->class)[$type->name] ?? [$this->class, $type->name];
        $named = $this->stub->aliases($from)[$alias] ?? null;
        if ($named !== null) {
            return (new self($this->stub, $from))->mismatch($named, $value);
        }

        return is_a($value, $this->stub->fullName($type->name, $this->class)) ? null : self::isNot($value, $type->name);
    }

    private static function isNot(mixed $value, string $type): string
    {
        return 'is ' . (is_scalar($value) ? var_export($value, true) : get_debug_type($value)) . ", not {$type}";
    }
}
