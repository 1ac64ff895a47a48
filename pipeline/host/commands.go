package host

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/pipeline/fact"
	"tsrun/sdk/pluginpb"
)

// TimeCommands measures how long commands take to the device and back, by so many
// questions. A plugin that cannot do it, or is of an older SDK, returns nil.
func (d *Driver) TimeCommands(ctx context.Context, n int) (*fact.CommandPath, error) {
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	r, err := d.rpc.TimeCommands(ctx, &pluginpb.TimeCommandsRequest{Count: int32(n)})
	if status.Code(err) == codes.Unimplemented {
		return nil, nil
	}
	if err != nil {
		return nil, d.explain("time commands", err)
	}
	return CommandPathIn(r.GetTimes(), n)
}

// leastQuestions is how many tell how much their ways differ.
const leastQuestions = 8

// CommandPathIn sums up what a plugin has measured; it may say anything. A PC that is
// busy makes questions take longer and none quicker, and it is as busy at the start only
// by chance. So what the quickest take is the way, which nodes that share a PC agree on;
// one in ten may be quicker by chance. It is as doubtful as the median is far from the quickest.
func CommandPathIn(times []*pluginpb.CommandTime, n int) (*fact.CommandPath, error) {
	if len(times) == 0 || len(times) > n {
		return nil, fmt.Errorf("the plugin tells of %d questions, it was asked for %d", len(times), n)
	}
	var trips, there []int64
	told := true
	for _, t := range times {
		trip, out := t.GetRoundTripNs(), t.GetThereNs()
		if trip <= 0 || trip > openTimeout.Nanoseconds() || out < 0 || out > trip {
			return nil, fmt.Errorf("the plugin tells of a question that was there after %d ns and answered after %d ns", out, trip)
		}
		if out == 0 {
			out, told = trip/2, false
		}
		trips, there = append(trips, trip), append(there, out)
	}
	slices.Sort(trips)
	slices.Sort(there)
	tenth, half := len(there)/10, len(there)/2
	p := &fact.CommandPath{Questions: len(trips), RoundTripNs: trips[tenth], SpreadNs: (trips[len(trips)*84/100] - trips[len(trips)*16/100]) / 2,
		ThereNs: there[tenth], DoubtNs: there[half] - there[0], SplitBy: fact.SplitHalf}
	if len(trips) < leastQuestions {
		p.DoubtNs = p.RoundTripNs
	}
	if told {
		p.SplitBy = fact.SplitDevice
	}
	return p, nil
}
