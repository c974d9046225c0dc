<?php

declare(strict_types=1);

namespace App\Http\Requests;

use Illuminate\Foundation\Http\FormRequest;
use Illuminate\Validation\Rule;

/** What `GET /trades` takes: a market, and how many trades. */
final class ListTradesRequest extends FormRequest
{
    public const LIMIT_DEFAULT = 100;

    private const LIMIT_MAX = 1_000;

    public function authorize(): bool
    {
        return true;
    }

    /** @return array<string, list<mixed>> */
    public function rules(): array
    {
        return [
            'symbol' => ['bail', 'required', 'string', Rule::in(array_keys(config('exchange.markets')))],
            'limit' => ['bail', 'numeric', 'integer', 'between:1,' . self::LIMIT_MAX],
        ];
    }

    /** @return array<string, string> */
    public function messages(): array
    {
        return [
            'symbol.*' => 'The symbol must be one of: ' . implode(', ', array_keys(config('exchange.markets'))) . '.',
            'limit.*' => 'The limit must be a whole number from 1 to ' . self::LIMIT_MAX . '.',
        ];
    }
}
