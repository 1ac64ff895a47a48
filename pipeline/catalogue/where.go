package catalogue

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// clause is one condition on the value of a column: "condition=GOOD", "pairs>=1000".
type clause struct{ column, is, than string }

// operators are looked for at one place, the longer ones first.
var operators = []string{"!=", "<=", ">=", "=", "<", ">"}

// parseClause reads a condition; the first operator divides it.
func parseClause(text string) (clause, error) {
	for i := range text {
		for _, op := range operators {
			if strings.HasPrefix(text[i:], op) && i > 0 {
				return clause{strings.TrimSpace(text[:i]), op, strings.TrimSpace(text[i+len(op):])}, nil
			}
		}
	}
	return clause{}, fmt.Errorf("%q is no condition; write COLUMN=VALUE, or with !=, <, <=, >, >=, as condition=GOOD or 'pairs>=1000'", text)
}

// misread says that a value is a number and what a user typed is none, so that nothing
// could meet the clause.
func (c clause) misread(value any) bool {
	_, number := value.(json.Number)
	return number && exact(c.than) == nil && (c.than != "" || c.is != "=" && c.is != "!=")
}

// holds says whether a value meets the clause. A list does where one of its words does;
// what has no value equals nothing but an empty VALUE, and is neither less nor more.
func (c clause) holds(value any) bool {
	words := []any{value}
	if list, ok := value.([]string); ok {
		words = words[:0]
		for _, w := range list {
			words = append(words, w)
		}
	}
	equal := func(v any) bool { return compare(v, c.than) == 0 }
	switch c.is {
	case "=":
		return slices.ContainsFunc(words, equal) || len(words) == 0 && c.than == ""
	case "!=":
		return !slices.ContainsFunc(words, equal)
	}
	return slices.ContainsFunc(words, func(v any) bool {
		if v == nil {
			return false
		}
		switch order := compare(v, c.than); c.is {
		case "<":
			return order < 0
		case "<=":
			return order <= 0
		case ">":
			return order > 0 && order != unlike
		default:
			return order >= 0 && order != unlike
		}
	})
}

// unlike is the order of what cannot be compared; it is not 0.
const unlike = 2

// compare orders a value and what a user typed: as numbers where the value is one,
// else as texts, so times in the form of RFC 3339 have their order.
func compare(value any, typed string) int {
	switch v := value.(type) {
	case nil:
		return strings.Compare("", typed)
	case json.Number:
		a, b := exact(v.String()), exact(typed)
		if a == nil || b == nil {
			return unlike
		}
		return a.Cmp(b)
	case bool:
		return strings.Compare(fmt.Sprint(v), typed)
	case string:
		return strings.Compare(v, typed)
	}
	return unlike
}

// exact reads a number with all the digits that picoseconds of a run may have; nil
// where it is none.
func exact(text string) *big.Float {
	if len(text) > 64 {
		return nil
	}
	f, _, err := big.ParseFloat(text, 10, 256, big.ToNearestEven)
	if err != nil || f.IsInf() {
		return nil
	}
	return f
}
