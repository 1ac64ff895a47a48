package master

import (
	"fmt"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/live"
	"tsrun/sdk"
)

// lastLive is how long the end of a run waits for its live sinks.
const lastLive = 10 * time.Second

// listenLive opens the sockets of the live sinks: early, so that who is there before the
// run misses nothing. A run that is resumed sends nothing.
func (c *conductor) listenLive() error {
	if c.past != nil {
		return nil
	}
	warn := func(message, hint string) { c.observe(event.Warning{Message: message, Hint: hint}) }
	for _, sink := range c.recipe.Live {
		s, err := live.ListenFor(sink, c.run.String(), live.Plugins{Dirs: c.options.PluginDirs, Lock: c.options.Lock, Warn: warn})
		if err != nil && sink.Sink != "" {
			return fmt.Errorf("sink %s: %w", sink.Name, err)
		}
		if err != nil {
			field := "sinks." + sink.Name + ".config.address"
			return &sdk.Failure{Code: "port", Field: field, Message: "open the socket of sink " + sink.Name + ": " + err.Error(),
				Hint: "it may be another run's; this address is " + field}
		}
		c.lives = append(c.lives, s)
	}
	return nil
}

// startLives starts the live sinks when the first segment is here: by then it is known
// what the controllers are.
func (c *conductor) startLives() {
	for _, l := range c.lives {
		if l.Started() {
			continue
		}
		err := l.Start(live.Begin{Dir: c.dir.Path(), Run: c.book.manifest.Run, Simulated: c.book.manifest.Simulated(), Recipe: c.recipe,
			Warn: func(message, hint string) { c.observe(event.Warning{Message: message, Hint: hint}) }})
		if err != nil { // a recipe that was checked is read
			c.log.Warn("live sink not started", "error", err)
		}
	}
}

// closeLives ends the live sinks, once nothing more is offered, and enters what they sent.
func (c *conductor) closeLives() {
	if c.book != nil && c.past == nil && c.state.fire > 0 {
		c.startLives() // so that subscribers hear the end of a run without segments
	}
	for _, l := range c.lives {
		if record := l.Close(lastLive); c.book != nil {
			c.book.manifest.Live = append(c.book.manifest.Live, record)
		}
	}
	c.lives = nil
}
