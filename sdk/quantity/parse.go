package quantity

import (
	"fmt"
	"math/big"
	"strings"
)

// maxText bounds what is looked at; the longest exact value is far shorter.
const maxText = 64

// parse reads an optional sign, a decimal number and a unit. It works on the
// decimal digits as an integer and a power of ten, so no value passes through
// a binary fraction.
func (k *kind) parse(text string) (int64, error) {
	if len(text) > maxText {
		return 0, fmt.Errorf("%s of %d characters is too long to be meant; write it like %v", k.article, len(text), k.example[0])
	}
	number, name := split(strings.TrimSpace(text))
	if err := k.checkNumber(text, number, name); err != nil {
		return 0, err
	}
	if name == "" {
		return 0, fmt.Errorf("%s needs a unit: write %s %s, not %s", k.article, number, k.advise, number)
	}
	u, ok := k.lookup(name)
	if !ok {
		return 0, fmt.Errorf("%q is no unit of %s: %s", name, k.article, k.suggest(number, name))
	}
	if !k.signed && strings.HasPrefix(number, "-") {
		return 0, fmt.Errorf("%s is never negative: write %s %s", k.article, number[1:], name)
	}

	whole, fraction, _ := strings.Cut(number, ".")
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok {
		return 0, fmt.Errorf("%q is not a decimal number; write %s like %v", number, k.article, k.example[0])
	}
	value := digits.Mul(digits, big.NewInt(u.scale))
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(len(fraction))), nil)
	value, rest := value.QuoRem(value, ten, new(big.Int))
	if rest.Sign() != 0 {
		return 0, fmt.Errorf("%s %s is finer than %s; give fewer digits", number, name, k.finest())
	}
	if !value.IsInt64() {
		return 0, fmt.Errorf("%s %s is out of range; %s reaches %s", number, name, k.article, k.format(maxInt64))
	}
	return value.Int64(), nil
}

const maxInt64 = 1<<63 - 1

// finest names the step that this kind counts in.
func (k *kind) finest() string {
	if k.units[0].scale == 1 {
		return "1 " + k.units[0].name
	}
	return k.format(1)
}

// checkNumber refuses what is not a plain decimal number, with the fix.
func (k *kind) checkNumber(text, number, name string) error {
	digits := strings.TrimLeft(number, "+-")
	whole, fraction, point := strings.Cut(digits, ".")
	switch {
	case digits == "" || digits == "." && name != "": // as .nan and .inf are written
		return fmt.Errorf("%q is not %s: write a number and a unit, like %v", text, k.article, k.example[0])
	case isDate(strings.TrimSpace(text)):
		return fmt.Errorf("%q is a date, not %s: write a number and a unit, like %v", text, k.article, k.example[0])
	case len(number)-len(digits) > 1:
		return fmt.Errorf("%q has two signs: write one", text)
	case strings.HasPrefix(name, ":"):
		return fmt.Errorf("%q has a colon: write one number and one unit, like %v", text, k.example[0])
	case strings.HasPrefix(name, "_"):
		return fmt.Errorf("%q has an underscore: write the digits without", text)
	case whole == "0" && (strings.HasPrefix(name, "x") || strings.HasPrefix(name, "b")):
		return fmt.Errorf("%q is not decimal: write the digits 0 to 9 and a unit, like %v", text, k.example[0])
	case strings.HasPrefix(name, ","):
		return fmt.Errorf("%q has a comma: write the decimal fraction with a point", text)
	case strings.Contains(fraction, "."):
		return fmt.Errorf("%q has two decimal points: write one", text)
	case whole == "":
		return fmt.Errorf("%q starts with a point: write 0.%s %s", text, fraction, name)
	case point && fraction == "":
		return fmt.Errorf("%q ends with a point: write %s %s", text, whole, name)
	case isExponent(name):
		return fmt.Errorf("%q has an exponent: write the digits and a unit, one of %s", text, k.unitNames())
	case strings.ContainsAny(name, "0123456789"):
		return fmt.Errorf("%q has more than one number: write their sum as one number and one unit, like %v", text, k.example[0])
	}
	return nil
}

// isExponent tells "1e-9" from a number with a unit; no unit starts with e.
func isExponent(name string) bool {
	return len(name) > 1 && (name[0] == 'e' || name[0] == 'E') && strings.ContainsRune("+-0123456789", rune(name[1]))
}

// split parts "48.2 ns" into its number, sign included, and its unit.
func split(text string) (number, name string) {
	end := strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimLeft(text[end:], " ")
}
