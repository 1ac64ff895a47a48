package master

import (
	"context"

	"tsrun/pipeline/event"
	"tsrun/pipeline/results"
)

// giveResults gives what the stages have found to the sinks that take it.
func (c *conductor) giveResults(ctx context.Context) {
	m := c.book.manifest
	m.ResultSinks = results.Give(ctx, results.Options{Dir: c.dir.Path(), Recipe: c.recipe, Manifest: m,
		PluginDirs: c.options.PluginDirs, Lock: c.options.Lock, Within: results.Within,
		Warn: func(message, hint string) {
			c.log.Warn("results not given", "why", message, "hint", hint)
			c.observe(event.Warning{Message: message, Hint: hint})
		}})
	for _, s := range m.ResultSinks {
		c.log.Info("results given", "sink", s.Sink, "files", len(s.Files), "confined", s.Confined, "unconfined", s.Unconfined)
	}
}
