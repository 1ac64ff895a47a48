package slave

import (
	"errors"
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
)

func TestCompensationOf(t *testing.T) {
	const us = quantity.Microsecond
	path := &fact.CommandPath{RoundTripNs: 300_000, ThereNs: 100_000}
	for name, c := range map[string]struct {
		asked recipe.Compensation
		path  *fact.CommandPath
		err   error
		used  int64
		by    string
		why   bool
	}{
		"a number":           {recipe.Compensation{Time: 250 * us}, nil, nil, 250_000, "recipe", false},
		"before":             {recipe.Compensation{Time: -250 * us}, nil, nil, -250_000, "recipe", false},
		"measured":           {recipe.Compensation{Auto: true}, path, nil, 100_000, "measurement", false},
		"measured and added": {recipe.Compensation{Auto: true, Time: 250 * us}, path, nil, 350_000, "measurement and recipe", false},
		"taken off":          {recipe.Compensation{Auto: true, Time: -250 * us}, path, nil, -150_000, "measurement and recipe", false},
		"cannot":             {recipe.Compensation{Auto: true}, nil, nil, 0, "nothing", true},
		"cannot, and added":  {recipe.Compensation{Auto: true, Time: us}, nil, nil, 1000, "recipe", true},
		"failed":             {recipe.Compensation{Auto: true}, nil, errors.New("unplugged"), 0, "nothing", true},
		"at the limit":       {recipe.Compensation{Auto: true, Time: recipe.MaxCompensation}, path, nil, 50_000_000, "measurement and recipe", false},
	} {
		n := compensationOf(c.asked, c.path, c.err)
		if n.UsedNs != c.used || n.By != c.by || (n.Why != "") != c.why || (n.MeasuredNs != nil) != (c.path != nil) {
			t.Errorf("%s: %+v", name, n)
		}
	}
}
