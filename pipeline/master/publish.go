package master

import (
	"context"
	"fmt"
	"time"

	"tsrun/pipeline/wire"
)

// beacons tells the slaves that the trigger port is alive.
func (c *conductor) beacons(ctx context.Context) error {
	tick := time.NewTicker(beaconEvery)
	defer tick.Stop()
	for {
		beacon := wire.Order{Kind: wire.Beacon, Run: c.run, Sent: time.Now().UnixNano()}
		c.publish(beacon)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// publish sends an order over every way that it is not asked for.
func (c *conductor) publish(o wire.Order) {
	if c.fast != nil && (o.Kind == wire.Fire || o.Kind == wire.Beacon) {
		if err := c.fast.Publish(o); err != nil && !c.slowed.Swap(true) {
			c.slow(fmt.Sprintf("trigger.fast: %v", err), "look at the network of this PC")
		}
	}
	if err := c.trigger.Publish(o); err != nil {
		c.log.Warn("order not published; the slaves learn it with their next report", "order", o.Kind, "error", err)
	}
}
