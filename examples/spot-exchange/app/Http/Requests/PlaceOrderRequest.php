<?php

declare(strict_types=1);

namespace App\Http\Requests;

use App\Matching\Decimal;
use App\Matching\Order;
use App\Matching\OrderType;
use App\Matching\Side;
use Closure;
use Illuminate\Foundation\Http\FormRequest;
use Illuminate\Validation\Rule;
use InvalidArgumentException;
use Symfony\Component\HttpKernel\Exception\BadRequestHttpException;

/**
 * What `POST /orders` takes: an order. Amounts are strings, since JSON numbers become floats in
 * PHP.
 */
final class PlaceOrderRequest extends FormRequest
{
    public function authorize(): bool
    {
        return true;
    }

    /** @return array<string, list<mixed>> */
    public function rules(): array
    {
        return [
            'user_id' => ['bail', 'required', 'numeric', 'integer', 'min:1'],
            'symbol' => ['bail', 'required', 'string', Rule::in(array_keys(config('exchange.markets')))],
            'side' => ['bail', 'required', 'string', Rule::in(array_column(Side::cases(), 'value'))],
            'type' => ['bail', 'required', 'string', Rule::in(array_column(OrderType::cases(), 'value'))],
            'quantity' => ['bail', 'required', 'string', $this->amount('quantity_scale')],
            'price' => [
                'bail',
                'nullable',
                'required_if:type,limit',
                'prohibited_if:type,market',
                'string',
                $this->amount('price_scale'),
            ],
        ];
    }

    /** @return array<string, string> */
    public function messages(): array
    {
        $amount = 'The :attribute must be a string with a decimal number, such as "1.5".';

        return [
            'required' => 'The :attribute is missing.',
            'user_id.*' => 'The user_id must be a whole number from 1 on.',
            'symbol.*' => 'The symbol must be one of: ' . implode(', ', array_keys(config('exchange.markets'))) . '.',
            'side.*' => 'The side must be "buy" or "sell".',
            'type.*' => 'The type must be "limit" or "market".',
            'price.required_if' => 'A limit order has a price.',
            'price.prohibited_if' => 'A market order has no price.',
            'string' => $amount,
        ];
    }

    /** @return array<string, string> for messages: "user_id" as in the request, not "user id" */
    public function attributes(): array
    {
        return ['user_id' => 'user_id'];
    }

    /**
     * The order, after validation.
     *
     * @param string $at `Y-m-d H:i:s.u`
     */
    public function order(int $id, string $at): Order
    {
        $input = $this->validated();
        $type = OrderType::from($input['type']);

        return new Order(
            id: $id,
            userId: (int) $input['user_id'],
            symbol: $input['symbol'],
            side: Side::from($input['side']),
            type: $type,
            price: $type === OrderType::Limit ? Decimal::parse($input['price']) : null,
            quantity: Decimal::parse($input['quantity']),
            createdAt: $at,
        );
    }

    protected function prepareForValidation(): void
    {
        if ($this->isJson() && !is_array(json_decode((string) $this->getContent(), true))) {
            throw new BadRequestHttpException('The body is not a JSON object.');
        }
    }

    /** A rule: a number above 0, with no more decimals than the market allows. */
    private function amount(string $scale): Closure
    {
        return function (string $attribute, string $value, Closure $fail) use ($scale): void {
            $symbol = $this->input('symbol');
            $market = is_string($symbol) ? config('exchange.markets')[$symbol] ?? null : null;
            try {
                if (Decimal::parse($value, $market[$scale] ?? Decimal::SCALE) === Decimal::ZERO) {
                    $fail("The {$attribute} must be above 0.");
                }
            } catch (InvalidArgumentException $e) {
                $fail("The {$attribute}: {$e->getMessage()}");
            }
        };
    }
}
