package idq

import (
	"math/big"
	"strconv"
	"strings"
)

// kind is what a command takes and how a query prints it.
type kind int

const (
	action  kind = iota // takes nothing
	toggle              // ON or OFF; nothing means ON
	choice              // one of a list of words
	span                // time in ps; printed with the unit TB, which is 1 ps
	number              // integer
	count               // integer or INF
	volts               // threshold; stored in µV
	link                // address of a block, or NONE
	reading             // query only
)

// value is an argument after parsing. The zero value is 0, "" and not INF.
type value struct {
	n    int64  // span, number, count, volts
	text string // toggle, choice, link
	inf  bool   // count
}

// parse reads an argument for command c; an empty one takes the default.
func (c *command) parse(argument string) (value, error) {
	if argument == "" {
		if c.kind == toggle {
			return value{text: "ON"}, nil
		}
		return c.def, nil
	}
	switch c.kind {
	case toggle:
		return pick(argument, []string{"ON", "OFF"})
	case choice:
		return pick(argument, c.choices)
	case link:
		return parseLink(argument)
	case count:
		if abbreviates(argument, "INFinity") {
			return value{inf: true}, nil
		}
	case action:
		return value{}, invalid(argument, "nothing may follow")
	}
	return c.parseNumber(argument)
}

// parseNumber reads a decimal number with or without exponent and unit. As
// clients send what arithmetic on floats left them with, it is rounded to the
// unit it is kept in, half away from zero.
func (c *command) parseNumber(argument string) (value, error) {
	digits := len(argument)
	for i := range len(argument) {
		if !strings.ContainsRune("0123456789+-.", rune(argument[i])) && !isExponent(argument, i) {
			digits = i
			break
		}
	}
	exponent, ok := c.unit(strings.TrimSpace(argument[digits:]))
	if !ok {
		return value{}, invalid(argument, "unit")
	}
	v, ok := scale(argument[:digits], exponent)
	if !ok {
		return value{}, invalid(argument, "number")
	}
	low, high := big.NewInt(c.low), big.NewInt(c.high)
	if v.Cmp(low) < 0 || v.Cmp(high) > 0 {
		return value{}, &scpiError{"PARAM_TYPE", clip(argument) + ", allowed are " + c.print(value{n: c.low}) + " to " + c.print(value{n: c.high})}
	}
	return value{n: v.Int64()}, nil
}

// isExponent reports whether s[i] is the e of an exponent, or its sign.
func isExponent(s string, i int) bool {
	if s[i] != 'e' && s[i] != 'E' || i == 0 {
		return false
	}
	rest := strings.TrimLeft(s[i+1:], "+-")
	return rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// unit returns the power of ten that a unit with SI prefix multiplies by, in
// the smallest unit the value is kept in.
func (c *command) unit(text string) (exponent int, ok bool) {
	name, base := "", 0
	switch c.kind {
	case span:
		name = "TB" // ps
	case volts:
		name, base = "V", 6
	}
	if text == "" {
		return base, true
	}
	if name == "" || len(text) < len(name) || !strings.EqualFold(text[len(text)-len(name):], name) {
		return 0, false
	}
	switch prefix := text[:len(text)-len(name)]; prefix {
	case "":
		return base, true
	case "m":
		return base - 3, true
	case "M": // the only prefix whose case matters
		return base + 6, true
	default:
		e, ok := map[string]int{"P": -12, "N": -9, "U": -6, "K": 3, "G": 9, "T": 12}[strings.ToUpper(prefix)]
		return base + e, ok
	}
}

// scale multiplies a decimal number by a power of ten and rounds it.
func scale(text string, exponent int) (*big.Int, bool) {
	const longest, farthest = 64, 40
	mantissa, power := text, 0
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if power, err = strconv.Atoi(text[i+1:]); err != nil || power < -farthest || power > farthest {
			return nil, false
		}
		mantissa = text[:i]
	}
	sign, body := "", strings.TrimLeft(mantissa, "+-")
	if len(mantissa)-len(body) > 1 || len(body) > longest || body == "" {
		return nil, false
	}
	if mantissa[0] == '-' {
		sign = "-"
	}
	whole, fraction, _ := strings.Cut(body, ".")
	v, ok := new(big.Int).SetString(sign+"0"+whole+fraction, 10)
	if !ok || whole+fraction == "" {
		return nil, false
	}
	power += exponent - len(fraction)
	ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(power, -power))), nil)
	if power >= 0 {
		return v.Mul(v, ten), true
	}
	half := new(big.Int).Rsh(ten, 1)
	if v.Sign() < 0 {
		half.Neg(half)
	}
	return v.Quo(v.Add(v, half), ten), true
}

// pick finds a word of a list; the result is its short form.
func pick(argument string, words []string) (value, error) {
	for _, w := range words {
		if abbreviates(argument, w) {
			return value{text: w[:shortForm(w)]}, nil
		}
	}
	return value{}, invalid(argument, "one of "+strings.Join(words, ", "))
}

// long returns the long form of a word kept in its short form, in capitals, as
// the device answers.
func (c *command) long(short string) string {
	for _, w := range c.choices {
		if w[:shortForm(w)] == short {
			return strings.ToUpper(w)
		}
	}
	return short
}

// print writes a value without a unit, as the reply to setting it does.
func (c *command) print(v value) string {
	switch {
	case v.inf:
		return "INF"
	case c.kind == volts:
		return decimal(v.n)
	case c.kind == span || c.kind == number || c.kind == count:
		return strconv.FormatInt(v.n, 10)
	case c.kind == choice:
		return c.long(v.text)
	default:
		return v.text
	}
}

// query writes a value as the reply to asking for it does.
func (c *command) query(v value) string {
	switch c.kind {
	case span:
		return c.print(v) + "TB"
	case volts:
		return c.print(v) + "V"
	default:
		return c.print(v)
	}
}

// decimal writes µV in V: "-0.4".
func decimal(microvolts int64) string {
	sign := ""
	if microvolts < 0 {
		sign, microvolts = "-", -microvolts
	}
	whole, rest := microvolts/1e6, microvolts%1e6
	text := strconv.FormatInt(1e6+rest, 10)[1:]
	text = strings.TrimRight(text, "0")
	if text != "" {
		text = "." + text
	}
	return sign + strconv.FormatInt(whole, 10) + text
}

func invalid(argument, what string) error {
	return &scpiError{"PARAM_TYPE", clip(argument) + ": " + what}
}
