package master

import (
	"context"
	"fmt"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
)

// listenFast opens the UDP port from which orders go as datagrams, too, where the recipe
// wants that. The run goes on without, and says so: every order goes by other ways as well.
func (c *conductor) listenFast() {
	n := c.recipe.Network
	if c.past != nil || !c.recipe.Trigger.Datagrams() {
		return
	}
	var err error
	if c.fast, err = wire.ListenFast(address(n.Master, n.Ports.Trigger)); err != nil {
		c.slow(fmt.Sprintf("trigger.fast: %v", err), fmt.Sprintf("it may be another program that has UDP port %d; another number is network.ports.trigger", n.Ports.Trigger))
	}
}

// slow tells the user that no order goes as a datagram.
func (c *conductor) slow(says, hint string) {
	c.log.Warn("no datagrams", "why", says)
	c.observe(event.Warning{Message: says + ": the order to start goes by the other ways alone", Hint: hint})
}

// admitFast lets a node hear datagrams.
func (c *conductor) admitFast(name string, m *member) {
	if c.fast == nil {
		return
	}
	access, err := c.fast.Admit()
	if err != nil {
		c.slow(fmt.Sprintf("trigger.fast: node %s: %v", name, err), "")
		return
	}
	m.welcome.Fast = access
}

// hearHellos hears where nodes are, until ctx ends.
func (c *conductor) hearHellos(ctx context.Context) error {
	if c.fast == nil {
		return nil
	}
	return c.fast.Run(ctx)
}

// tryFast opens the UDP port of a master's orders, and closes it.
func tryFast(n recipe.Network) (Port, error) {
	port := Port{"trigger by UDP", address(n.Master, n.Ports.Trigger)}
	l, err := wire.ListenFast(port.Address)
	if err != nil {
		return port, listenFailure("trigger", err)
	}
	return port, l.Close()
}
