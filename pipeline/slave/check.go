package slave

import (
	"context"
	"fmt"
	"math"
	"strings"

	"tsrun/pipeline/host"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// checkConfigs asks the plugins of a remote node for all mistakes in their
// configurations and channels, before anything is started. The master has asked
// those of its own PC. A plugin that cannot answer reports its error when it starts.
func (eq *equipment) checkConfigs(ctx context.Context) error {
	if eq.s.node.Host != "remote" {
		return nil
	}
	request := sdk.CheckRequest{
		Hardware:   eq.method() == sdk.Hardware,
		DurationNs: eq.s.recipe.Acquire.Duration.Duration().Nanoseconds(),
		SegmentNs:  eq.s.recipe.Acquire.Segment.Duration().Nanoseconds(),
	}
	var texts []string
	first := &sdk.Failure{}
	ask := func(plugin, instance string, r sdk.CheckRequest, streams []uint16) {
		for _, i := range streams {
			c := eq.s.node.Channels[i]
			r.Channels = append(r.Channels, sdk.CheckChannel{Name: c.Name, Input: c.Input, ThresholdUv: c.Microvolts(),
				Falling: c.Edge == "falling", DelayPs: int64(c.Delay)})
		}
		component, err := host.Find(eq.s.options.PluginDirs, plugin)
		if err != nil {
			return // reported when it is started
		}
		mistakes, err := component.Check(ctx, r)
		if err != nil {
			eq.log.Warn("a plugin did not check its config, which is done when it starts", "plugin", plugin, "error", err)
		}
		for _, m := range mistakes {
			if len(texts) == 0 {
				first = &sdk.Failure{Code: "bad-config", Field: m.Field, Hint: m.Hint}
			}
			texts = append(texts, fmt.Sprintf("%s: %s: %s", instance, m.Field, m.Message))
		}
	}
	simulation := eq.simulation()
	for _, c := range eq.s.node.Controllers {
		r := request
		r.Driver, r.Config, r.Simulation = c.Driver, c.Config, simulation.Controller
		ask(c.Driver, eq.s.node.Name+"."+c.Name, r, eq.streamsOf(c.Name))
	}
	for _, s := range eq.s.recipe.Sinks {
		if k := eq.sinkFor(s); k != nil {
			r := request
			r.Sink, r.Config = s.Sink, s.Config
			ask(s.Sink, eq.s.node.Name+"."+s.Name, r, k.streams)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	first.Message = strings.Join(texts, "; ")
	return first
}

// checkDevice checks that the device can do what the recipe asks of it.
func (eq *equipment) checkDevice(c *controller, d sdk.Device) error {
	refuse := func(format string, args ...any) error {
		return &sdk.Failure{Code: "device-unsuited", Message: fmt.Sprintf("controller %s: ", c.recipe.Name) + fmt.Sprintf(format, args...),
			Hint: "change the recipe, or use another controller"}
	}
	if eq.method() == sdk.Hardware && !d.Can.HardwareStart {
		return refuse("the device has no START input, trigger.method: hardware needs one; %s", startsOf(d.Can))
	}
	if eq.method() == sdk.Scheduled && !d.Can.ScheduledStart {
		return refuse("the device cannot be started at an instant, trigger.method: %s needs that; %s", eq.s.recipe.Trigger.Method, startsOf(d.Can))
	}
	inputs := map[int]sdk.Input{}
	for _, in := range d.Inputs {
		inputs[in.Number] = in
	}
	for _, i := range c.streams {
		ch := eq.s.node.Channels[i]
		in, ok := inputs[ch.Input]
		switch {
		case !ok:
			return refuse("channel %s is on input %d, the device has %d inputs", ch.Name, ch.Input, len(inputs))
		case ch.Threshold == nil && !c.noThresholds:
			return refuse("channel %s has no threshold, and the device needs one", ch.Name)
		case ch.Threshold != nil && c.noThresholds:
			return refuse("channel %s has a threshold of %v, and the device has no thresholds", ch.Name, ch.Threshold)
		case ch.Threshold != nil && (in.ThresholdMin != 0 || in.ThresholdMax != 0) && // both 0: the range is not known
			(ch.Microvolts() < in.ThresholdMin || ch.Microvolts() > in.ThresholdMax):
			return refuse("threshold %v of channel %s is outside %d mV to %d mV", ch.Threshold, ch.Name, in.ThresholdMin/1000, in.ThresholdMax/1000)
		case ch.Delay != 0 && !d.Can.InputDelay:
			return refuse("the device has no input delays, channel %s asks for %v", ch.Name, ch.Delay)
		case in.DelayMax > 0 && max(int64(ch.Delay), -int64(ch.Delay)) > in.DelayMax:
			return refuse("delay %v of channel %s is beyond the %v of the device", ch.Delay, ch.Name, quantity.Time(in.DelayMax))
		}
	}
	if least := eq.leastRate(c); d.MaxRateHz > 0 && least/1000 >= d.MaxRateHz && least > d.MaxRateHz*1000 {
		return refuse("expect wants at least %v of its channels, the device records at most %v over all inputs", quantity.Frequency(least), quantity.Frequency(d.MaxRateHz*1000))
	}
	return nil
}

// startsOf says how a device can be started.
func startsOf(can sdk.Capabilities) string {
	switch {
	case can.ScheduledStart:
		return "it can be started at an instant (scheduled)"
	case can.HardwareStart:
		return "it can be started by an edge on its START input (hardware)"
	}
	return "its driver names no way to start it"
}

// leastRate is what the channels of a controller must count together, in mHz, so
// that expect holds. A channel without an expectation counts as 0.
func (eq *equipment) leastRate(c *controller) (least int64) {
	for _, i := range c.streams {
		for _, e := range eq.s.recipe.Expect {
			if e.Channel == eq.s.node.Name+"."+eq.s.node.Channels[i].Name && e.RateMin != nil {
				least += min(max(0, int64(*e.RateMin)), math.MaxInt64-least)
			}
		}
	}
	return least
}
