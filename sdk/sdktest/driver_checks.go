package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sdk/pluginpb"
)

// driverChecks hold for drivers.
func driverChecks() []check {
	all := []check{
		{"device", with((*Suite).device, (*driver).described)},
		{"shots", with((*Suite).device, (*driver).threeShots)},
		{"order-of-calls", with((*Suite).device, (*driver).orderOfCalls)},
		{"arm-after-error", with((*Suite).device, (*driver).armAfterError)},
		{"device-clock", with((*Suite).device, (*driver).deviceClock)},
		{"late-times", with((*Suite).device, (*driver).lateTimes)},
		{"consumer-pauses", with((*Suite).device, (*driver).consumerPauses)},
		{"consumer-goes", with((*Suite).device, (*driver).consumerGoes)},
	}
	all = append(all, inEachState("stop-", []string{armed, waiting, running, ended}, (*Suite).bring, (*shot).stopIn)...)
	all = append(all, inEachState("close-", []string{opened, armed, waiting, running, ended}, (*Suite).bring, (*shot).closeIn)...)
	all = append(all, inEachState("host-gone-", []string{opened, armed, waiting, running, ended}, (*Suite).bring, (*shot).hostGoneIn)...)
	return append(all, killedAtEachStep()...)
}

// States of a driver.
const (
	opened  = "open"
	armed   = "armed"
	waiting = "waiting" // for an instant that is an hour away
	running = "running"
	ended   = "ended"
)

// shotLength is how long most acquisitions of the checks are.
const shotLength = 300 * time.Millisecond

// longestShot is how long one may be of which no tag came, to be tried again longer.
const longestShot = 2 * time.Second

// described: what the device says of itself makes sense.
func (d *driver) described(ctx context.Context) (string, error) {
	v := d.device
	if v.Vendor == "" || v.Model == "" {
		return "", errors.New("vendor or model is empty")
	}
	if v.ResolutionPs < 1 {
		return "", fmt.Errorf("a resolution of %d ps", v.ResolutionPs)
	}
	if d.suite.Offer.Simulated(d.suite.Config) && !v.Simulated {
		return "", errors.New("its configuration means a simulated device, and the device does not say that it is: set Device.Simulated")
	}
	if len(v.Inputs) == 0 {
		return "", errors.New("it has no inputs")
	}
	seen := map[int32]bool{}
	for _, in := range v.Inputs {
		if seen[in.Number] || in.ThresholdMinUv > in.ThresholdMaxUv || in.DelayMaxPs < 0 {
			return "", fmt.Errorf("input %d is named twice, or its ranges are upside down", in.Number)
		}
		seen[in.Number] = true
	}
	if err := d.close(ctx); err != nil {
		return "", err
	}
	kind := "real"
	if v.Simulated {
		kind = "SIMULATED"
	}
	return fmt.Sprintf("%s %s, %s, %d inputs, %d ps", v.Vendor, v.Model, kind, len(v.Inputs), v.ResolutionPs), nil
}

// threeShots: Arm and Acquire follow each other on one open device. Each shot
// begins at 0 ps and is whole.
func (d *driver) threeShots(ctx context.Context) (string, error) {
	var tags []uint64
	for n := range 3 {
		sh, err := d.shoot(ctx)
		if err != nil {
			return "", fmt.Errorf("shot %d: %w", n+1, err)
		}
		count, _ := sh.in.total()
		tags = append(tags, count)
		if d.protocol < 2 {
			return fmt.Sprintf("%d tags; with protocol 1 there is one shot", count), nil
		}
	}
	return fmt.Sprintf("tags of each: %d", tags), d.close(ctx)
}

// orderOfCalls: what comes at the wrong time is refused with a reason, and does
// no harm.
func (d *driver) orderOfCalls(ctx context.Context) (string, error) {
	if err := refuses(ctx, "a start before Arm", d.rpc.Start, &pluginpb.StartRequest{}); err != nil {
		return "", err
	}
	if err := d.stop(ctx); err != nil {
		return "", fmt.Errorf("stopping what was never armed is no mistake: %w", err)
	}
	if err := refuses(ctx, "a second Configure", d.rpc.Configure, d.suite.configuration(d.process, d.suite.Config)); err != nil {
		return "", err
	}
	sh, err := d.arm(ctx, longestShot)
	if err != nil {
		return "", err
	}
	again := d.request(longestShot, d.inputs())
	again.Endpoint = sh.in.endpoint
	if err := refuses(ctx, "a second Arm", d.rpc.Arm, again); err != nil {
		return "", err
	}
	if err := sh.begin(ctx); err != nil {
		return "", err
	}
	if err := refuses(ctx, "a second Start", d.rpc.Start, &pluginpb.StartRequest{}); err != nil {
		return "", err
	}
	if err := sh.complete(ctx); err != nil {
		return "", err
	}
	return "5 calls out of order", d.close(ctx)
}

// armAfterError: an acquisition that the device cannot do is refused, and the
// device goes on.
func (d *driver) armAfterError(ctx context.Context) (string, error) {
	const missing = 999
	wrong := d.request(shotLength, []int{missing})
	in, err := newInlet(ctx, d.dir, [16]byte{200}, []uint16{10}, 1)
	if err != nil {
		return "", err
	}
	d.atEnd = append(d.atEnd, in.close)
	wrong.Endpoint = in.endpoint
	if err := refuses(ctx, fmt.Sprintf("an acquisition from input %d, which the device does not have,", missing), d.rpc.Arm, wrong); err != nil {
		return "", err
	}
	if _, err := d.shoot(ctx); err != nil {
		return "", fmt.Errorf("after an Arm that failed: %w", err)
	}
	return "refused, then acquired", d.close(ctx)
}

// deviceClock: tags have the times of the device. A process that stands still for
// a while finds the tags of that time, or says that they are lost; one that asks
// the PC for the time leaves a hole.
func (d *driver) deviceClock(ctx context.Context) (string, error) {
	const still = 700 * time.Millisecond
	sh, err := d.run(ctx, 2500*time.Millisecond)
	if err != nil {
		return "", err
	}
	instrument.Pause(ctx, 500*time.Millisecond)
	freeze(d.pid())
	instrument.Pause(ctx, still)
	thaw(d.pid())
	if err := sh.complete(ctx); err != nil {
		return "", err
	}
	var longest, fewest uint64 = 0, ^uint64(0)
	for id, a := range sh.in.streams {
		longest, fewest = max(longest, a.gap), min(fewest, a.tags)
		if a.offTick > 0 {
			return "", fmt.Errorf("stream %d: %d of %d tags are no multiple of the resolution of %d ps: they are not the device's", id, a.offTick, a.tags, d.device.ResolutionPs)
		}
	}
	if fewest < 100 {
		return "", openError{fmt.Sprintf("%d tags are too few to tell", fewest)}
	}
	if hole := time.Duration(longest / 1000); hole > still-100*time.Millisecond {
		return "", fmt.Errorf("the process stood still for %v, and its tags have a hole of %v without a loss: the times are the PC's, not the device's", still, hole.Round(time.Millisecond))
	}
	return fmt.Sprintf("stood still for %v, longest gap %.3g ms", still, float64(longest)/1e9), d.close(ctx)
}

// lateTimes: tags behind the bounds at which narrow or inexact numbers give up.
func (d *driver) lateTimes(ctx context.Context) (string, error) {
	sh, err := d.run(ctx, 0) // no end: a device that is only played may be faster than time
	if err != nil {
		return "", err
	}
	const most = 1 << 54
	began, wanted := time.Now(), uint64(d.suite.Acquire)*1000
	waitFor(ctx, d.suite.Acquire+tagsWithin, func() bool {
		_, until := sh.in.total()
		return closed(sh.in.done) || until > most || until >= wanted && time.Since(began) > d.suite.Acquire
	})
	if err := d.stop(ctx); err != nil {
		return "", err
	}
	if err := sh.whole(ctx); err != nil {
		return "", err
	}
	_, until := sh.in.total()
	if until < wanted*8/10 {
		return "", fmt.Errorf("it came to %d ps only in %v", until, d.suite.Acquire)
	}
	passed := "past"
	for _, bits := range []int{32, 40, 53} {
		if until > 1<<bits {
			passed += fmt.Sprintf(" 2^%d", bits)
		}
	}
	passed += " ps"
	if until < 1<<53 {
		passed += "; 2^53 ps are 2.6 hours, which --acquire '2.6 h' tries"
	}
	return passed, d.close(ctx)
}
