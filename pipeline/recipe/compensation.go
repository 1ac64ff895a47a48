package recipe

import (
	"strings"

	"tsrun/sdk/quantity"
)

// Compensation is how much earlier the controllers of a node are fired: a time, or
// what is measured before the run and a time that is added to it. In JSON, as in a
// recipe, it is a text: "250 us", "auto", "auto + 250 us", "auto - 1 us".
type Compensation struct {
	Auto bool
	Time quantity.Time
}

const autoWord = "auto"

// String writes it as a recipe does.
func (c Compensation) String() string {
	switch {
	case !c.Auto:
		return c.Time.String()
	case c.Time < 0:
		return autoWord + " - " + (-c.Time).String()
	case c.Time > 0:
		return autoWord + " + " + c.Time.String()
	}
	return autoWord
}

// MarshalText writes it as a recipe does.
func (c Compensation) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what a recipe says.
func (c *Compensation) UnmarshalText(text []byte) (err error) {
	negative, rest := false, string(text)
	if c.Auto, negative, rest = cutAuto(rest); c.Auto && rest == "" {
		c.Time = 0
		return nil
	}
	if c.Time, err = quantity.ParseTime(rest); negative {
		c.Time = -c.Time
	}
	return err
}

// cutAuto takes "auto" and the sign behind it off a text; what is left is a quantity,
// or nothing. A text that is neither is left whole.
func cutAuto(text string) (auto, negative bool, rest string) {
	rest, auto = strings.CutPrefix(text, autoWord)
	rest = strings.TrimLeft(rest, " ")
	switch {
	case !auto || rest == "":
		return auto, false, rest
	case rest[0] != '+' && rest[0] != '-':
		return false, false, text
	}
	if number := strings.TrimLeft(rest[1:], " "); number != "" && number[0] >= '0' && number[0] <= '9' {
		return true, rest[0] == '-', number
	}
	return false, false, text
}
