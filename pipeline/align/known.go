package align

import (
	"context"
	"errors"
	"fmt"
)

const (
	knownWithin = int64(10_000_000) // ps: 10 us, which light takes for 2 km of fibre
	knownDrift  = 1_000_000_000     // parts per 1e15: 1 ppm
	mostLooked  = 1 << 22           // tags of each record that are looked at
)

// dark says why no pairs are looked for: others tell where B's clock is, and near there A
// and B have no light in common. To find that out costs a hundredth of the whole search, which
// would be made for every two of many nodes that share none.
func dark(ctx context.Context, a, b []uint64, o Options) error {
	a = middleOf(a, mostLooked)
	if len(a) < minTags {
		return nil // the search says what is wrong
	}
	back := o.Known.Inverse()
	const beyond = uint64(2 * knownWithin)
	b = middleOf(within(b, back.Apply(a[0])-beyond, back.Apply(a[len(a)-1])+beyond), mostLooked)
	near := Options{Search: knownWithin, MaxDrift: min(o.MaxDrift, knownDrift), Brief: true, near: true}
	_, err := Align(ctx, a, o.Known.ApplyAll(nil, b), near)
	var refusal *Refusal
	if errors.As(err, &refusal) && (refusal.Code == "no-peak" || refusal.Code == "not-significant") {
		return &Refusal{Code: "no-peak",
			Reason: fmt.Sprintf("within %d us of where other pairs have this clock there are no more pairs than chance", knownWithin/1_000_000),
			Hint:   "nothing is missing where the two share no light; where they do, measure longer or with less background"}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return nil // the whole search finds it, or says better what is wrong
}

// middleOf is the middle of a list, of at most so many.
func middleOf(tags []uint64, most int) []uint64 {
	if len(tags) <= most {
		return tags
	}
	first := (len(tags) - most) / 2
	return tags[first : first+most]
}
