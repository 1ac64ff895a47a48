package slave

import (
	"context"
	"fmt"
	"strings"

	"tsrun/pipeline/host"
	"tsrun/sdk"
)

// check asks the plugins of this node for all mistakes in their configurations
// and channels, before anything is started. The master has done so for the
// nodes of its own PC, whose plugins it has; a plugin that cannot answer says
// what is wrong when it starts.
func (b *bench) check(ctx context.Context) error {
	if b.s.node.Host != "remote" {
		return nil
	}
	request := sdk.CheckRequest{
		Hardware:   b.method() == sdk.Hardware,
		DurationNs: b.s.recipe.Acquire.Duration.Duration().Nanoseconds(),
		SegmentNs:  b.s.recipe.Acquire.Segment.Duration().Nanoseconds(),
	}
	var texts []string
	first := &sdk.Failure{}
	ask := func(plugin, instance string, r sdk.CheckRequest, streams []uint16) {
		for _, i := range streams {
			c := b.s.node.Channels[i]
			r.Channels = append(r.Channels, sdk.CheckChannel{Name: c.Name, Input: c.Input, ThresholdUv: c.Microvolts(),
				Falling: c.Edge == "falling", DelayPs: int64(c.Delay)})
		}
		component, err := host.Find(b.s.options.PluginDirs, plugin)
		if err != nil {
			return // told when it is started
		}
		mistakes, err := component.Check(ctx, r)
		if err != nil {
			b.log.Warn("a plugin did not check its config, which is done when it starts", "plugin", plugin, "error", err)
		}
		for _, m := range mistakes {
			if len(texts) == 0 {
				first = &sdk.Failure{Code: "bad-config", Field: m.Field, Hint: m.Hint}
			}
			texts = append(texts, fmt.Sprintf("%s: %s: %s", instance, m.Field, m.Message))
		}
	}
	simulation := b.simulation()
	for _, c := range b.s.node.Controllers {
		r := request
		r.Driver, r.Config, r.Simulation = c.Driver, c.Config, simulation.Controller
		ask(c.Driver, b.s.node.Name+"."+c.Name, r, b.streamsOf(c.Name))
	}
	for _, s := range b.s.recipe.Sinks {
		if k := b.sinkFor(s); k != nil {
			r := request
			r.Sink, r.Config = s.Sink, s.Config
			ask(s.Sink, b.s.node.Name+"."+s.Name, r, k.streams)
		}
	}
	if len(texts) == 0 {
		return nil
	}
	first.Message = strings.Join(texts, "; ")
	return first
}
