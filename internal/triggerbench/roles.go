package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/host"
	"tsrun/pipeline/wire"
	"tsrun/sdk/instrument"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/realtime"
	"tsrun/sdk/tag"
	"tsrun/sim/idq"
)

// answerLines answers each line of the input, until it is closed.
func answerLines(answer func(series) ([]shot, error)) error {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var s series
		if err := in.Decode(&s); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		told, err := answer(s)
		if err != nil {
			return err
		}
		if err := out.Encode(told); err != nil {
			return err
		}
	}
}

// beBusy keeps a core busy until the input is closed.
func beBusy() error {
	fmt.Println(`"busy"`)
	go func() {
		for n := 0; ; n++ {
			runtime.KeepAlive(n)
		}
	}()
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// offer is what a master says of itself.
type offer struct {
	Clock   *datagram.Access `json:"clock"`
	Trigger string           `json:"trigger"` // host:port
	// Fast lets the first node and the second hear datagrams.
	Fast [2]*datagram.Access `json:"fast"`
}

// beMaster answers who asks for the time, and publishes orders to fire at once.
func beMaster(address string) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	responder, err := clock.Listen(net.JoinHostPort(address, "0"))
	if err != nil {
		return err
	}
	go func() { _ = responder.Run(ctx) }() // ends with ctx
	o := offer{}
	if o.Clock, err = responder.Admit(); err != nil {
		return err
	}
	publisher, err := wire.ListenTrigger(ctx, net.JoinHostPort(address, "0"), wire.Guard{})
	if err != nil {
		return err
	}
	defer publisher.Close()
	o.Trigger = publisher.Addr().String()
	fast, err := wire.ListenFast(net.JoinHostPort(address, "0"))
	if err != nil {
		return err
	}
	go func() { _ = fast.Run(ctx) }() // ends with ctx
	for i := range o.Fast {
		if o.Fast[i], err = fast.Admit(); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(o); err != nil {
		return err
	}
	return answerLines(func(s series) ([]shot, error) {
		for i := range s.Shots {
			publish := publisher.Publish
			switch s.method(i) {
			case onReceipt:
			case byUDP:
				publish = fast.Publish
			default:
				continue
			}
			if _, err := realtime.Await(ctx, s.instant(i)); err != nil {
				return nil, err
			}
			now := time.Now().UnixNano()
			if err := publish(wire.Order{Kind: wire.Fire, Seq: s.number(i), Run: tag.RunID{1}, Instant: now, Sent: now}); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
}

// beDevice is a simulated controller that says when it began to record.
func beDevice() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	began := make(chan int64, 1)
	device, err := idq.New(idq.Config{Serial: strconv.Itoa(os.Getpid()), Priority: idq.Prompt,
		Acquired: func(t idq.Truth) { began <- t.StartUnixNs }})
	if err != nil {
		return err
	}
	if !device.Prompt() {
		fmt.Fprintln(os.Stderr, "triggerbench: the simulated controllers have no real-time priority: their starts wait for whatever else runs")
	}
	defer realtime.Quieten(0)()         // a device collects no garbage when it is to start
	go func() { _ = device.Run(ctx) }() // ends with ctx
	if err := json.NewEncoder(os.Stdout).Encode(device.SCPIAddr()); err != nil {
		return err
	}
	return answerLines(func(series) ([]shot, error) {
		select {
		case at := <-began:
			runtime.GC()
			return []shot{{Began: at}}, nil
		case <-time.After(10 * time.Second):
			return nil, errors.New("the controller did not record")
		}
	})
}

// node is a slave: it says when to fire, and its driver does so.
type node struct {
	prober *clock.Prober        // nil: the master is on this PC
	orders <-chan wire.Received // that were published
	fast   <-chan wire.Received // that came as datagrams
	driver *process
}

func beNode(address, says string, compares bool) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var o offer
	if err := json.Unmarshal([]byte(says), &o); err != nil {
		return err
	}
	var n node
	var err error
	if compares {
		if n.prober, err = clock.Dial(address, *o.Clock); err != nil {
			return err
		}
		go func() { _ = n.prober.Run(ctx) }() // ends with ctx
	}
	orders, err := wire.DialTrigger(ctx, o.Trigger, "", nil)
	if err != nil {
		return err
	}
	defer orders.Close()
	n.orders = orders.Orders()
	which := 0
	if compares {
		which = 1
	}
	fast := make(chan wire.Received, 64)
	datagrams, err := wire.DialFast(address, *o.Fast[which], tag.RunID{1}, func(r wire.Received, _ string) { fast <- r })
	if err != nil {
		return err
	}
	go func() { _ = datagrams.Run(ctx) }() // ends with ctx
	n.fast = fast
	var ready string
	if n.driver, err = launch(nil, &ready, "-be", "driver"); err != nil {
		return err
	}
	defer n.driver.end()
	fmt.Println(`"ready"`)
	return answerLines(n.shoot)
}

const (
	// readyBefore is how long before an instant a node must be ready for it; a run is called
	// off otherwise. The driver is told no later, as in a run: a busy PC takes some ms for it.
	readyBefore = 25 * time.Millisecond
	// freshFor is how long ago an order to fire at once may have come to a node that then
	// begins to wait for it: the node was ready.
	freshFor = 5 * time.Millisecond
)

// shoot has the driver fire at each instant, or as soon as the order is there.
func (n *node) shoot(s series) ([]shot, error) {
	shots := make([]shot, s.Shots)
	for i := range shots {
		var ready bool
		var err error
		one := series{Methods: []string{s.method(i)}, Shots: 1, Early: s.Early}
		switch s.method(i) {
		case timing:
			ready = true
		case onReceipt:
			ready, err = awaitOrder(n.orders, s.number(i))
		case byUDP:
			ready, err = awaitOrder(n.fast, s.number(i))
		default:
			one.First, err = n.translate(s.instant(i))
			ready = time.Until(time.Unix(0, one.First)) > readyBefore
		}
		if err != nil {
			return nil, err
		}
		if !ready {
			continue
		}
		if err := n.driver.ask(one); err != nil {
			return nil, err
		}
		var told []shot
		if err := n.driver.out.Decode(&told); err != nil || len(told) != 1 {
			return nil, fmt.Errorf("the driver does not say when it fired: %v", err)
		}
		shots[i] = told[0]
	}
	return shots, nil
}

// awaitOrder waits for an order. ready: it was not there already.
func awaitOrder(orders <-chan wire.Received, seq uint64) (ready bool, err error) {
	for ready = true; ; {
		select {
		case o := <-orders:
			ready = ready && time.Since(o.At) < freshFor
			if o.Seq >= seq {
				return ready && o.Seq == seq, nil
			}
		case <-time.After(5 * time.Second):
			return false, errors.New("an order to fire does not come")
		}
	}
}

// translate returns when this PC's clock shows an instant of the master's.
func (n *node) translate(instant int64) (int64, error) {
	if n.prober == nil {
		return instant, nil
	}
	r, ok := n.prober.Reading()
	if !ok {
		return 0, errors.New("the master's clock is not heard")
	}
	return r.Translate(instant), nil
}

// driver fires a controller, on one thread.
type driver struct {
	controller instrument.Client
	device     *process // the controller
	witness    *witness // of the thread that fires
}

func beDriver() error {
	var d driver
	var at string
	var err error
	if d.device, err = launch(nil, &at, "-be", "device"); err != nil {
		return err
	}
	defer d.device.end()
	d.controller = instrument.Client{Name: "controller", Addr: at, Timeout: 5 * time.Second}
	for _, order := range []string{"REC:TRIG:ARM:MODE MANUal", "REC:TRIG:LINK NONE", "REC:ENABle ON"} {
		if _, err := d.controller.Ask(context.Background(), order); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	if d.witness, err = watchThread(); err != nil {
		return err
	}
	fmt.Println(`"ready"`)
	return answerLines(d.fire)
}

// timeCommands measures the way of a command as a driver of the SDK does: by questions,
// each after a wait for an instant.
func (d *driver) timeCommands(ctx context.Context) (*fact.CommandPath, error) {
	defer realtime.Quieten(0)()
	defer realtime.Settings{Priority: realtime.DefaultPriority, LockMemory: true}.Enter()()
	times := make([]*pluginpb.CommandTime, 64)
	for i := range times {
		if _, err := realtime.Await(ctx, realtime.ReadClock().Real+2_000_000); err != nil {
			return nil, err
		}
		asked := realtime.Monotonic()
		if _, err := d.controller.AskNow(ctx, "REC:STAGe?"); err != nil {
			return nil, err
		}
		times[i] = &pluginpb.CommandTime{RoundTripNs: realtime.Monotonic() - asked}
	}
	return host.CommandPathIn(times, len(times))
}

// fire fires once, at an instant of this PC's clock or at once.
func (d *driver) fire(s series) ([]shot, error) {
	ctx := context.Background()
	method := s.method(0)
	if method == timing {
		path, err := d.timeCommands(ctx)
		return []shot{{Path: path}}, err
	}
	best := method == priority || method == early
	settings := realtime.Settings{LockMemory: best}
	if best {
		settings.Priority = realtime.DefaultPriority
	}
	one, err := d.await(ctx, s, settings)
	if err != nil {
		return nil, err
	}
	if _, err := d.controller.Ask(ctx, "REC:STOP"); err != nil {
		return nil, err
	}
	if err := d.device.ask(series{}); err != nil {
		return nil, err
	}
	var told []shot
	if err := d.device.out.Decode(&told); err != nil || len(told) != 1 {
		return nil, fmt.Errorf("the controller does not say when it began: %v", err)
	}
	one.Began = told[0].Began
	return []shot{one}, nil
}

// rehearse asks the controller at a moment before the instant, as a driver of the SDK does
// that has timed its commands.
func (d *driver) rehearse(ctx context.Context, at int64) error {
	if _, err := realtime.Await(ctx, at); err != nil {
		return err
	}
	_, err := d.controller.AskNow(ctx, "REC:STAGe?")
	return err
}

// await waits as a method does, starts the controller and says when, and of one that has
// the priority what befell it since.
func (d *driver) await(ctx context.Context, s series, settings realtime.Settings) (one shot, err error) {
	defer realtime.Quieten(0)()
	defer settings.Enter()()
	before := d.witness.read()
	clock := realtime.ReadClock()
	began := clock.Real
	switch s.method(0) {
	case onReceipt, byUDP:
	case sleeping:
		time.Sleep(time.Until(time.Unix(0, s.First)))
		clock = realtime.ReadClock()
	default:
		if s.method(0) == early {
			s.First -= s.Early.Nanoseconds()
			if err := d.rehearse(ctx, s.First-realtime.RehearseAhead.Nanoseconds()); err != nil {
				return one, err
			}
		}
		if clock, err = realtime.Await(ctx, s.First); err != nil {
			return one, err
		}
	}
	one = shot{Fired: clock.Real + realtime.Monotonic() - clock.Mono, Due: s.First}
	waited := d.witness.waited()
	_, err = d.controller.AskNow(ctx, "REC:PLAY")
	if settings.Priority > 0 {
		one.Held = d.witness.since(before, waited, clock, one.Due)
		one.Held.Ahead = one.Due - began
	}
	if s.First != 0 && one.Due-began < spins.Nanoseconds() {
		one.Fired = 0 // the driver was not ready for it
	}
	return one, err
}
