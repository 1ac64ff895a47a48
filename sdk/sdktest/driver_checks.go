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
		{"device", (*Suite).describedDevice},
		{"shots", (*Suite).threeShots},
		{"order-of-calls", (*Suite).orderOfCalls},
		{"arm-after-error", (*Suite).armAfterError},
		{"device-clock", (*Suite).deviceClock},
		{"late-times", (*Suite).lateTimes},
		{"consumer-pauses", (*Suite).consumerPauses},
		{"consumer-goes", (*Suite).consumerGoes},
	}
	all = append(all, inEachState("stop-", []string{armed, waiting, running, ended}, (*Suite).stopIn)...)
	all = append(all, inEachState("close-", []string{opened, armed, waiting, running, ended}, (*Suite).closeIn)...)
	all = append(all, inEachState("host-gone-", []string{opened, armed, waiting, running, ended}, (*Suite).hostGoneIn)...)
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

func inEachState(prefix string, states []string, run func(*Suite, context.Context, string) (string, error)) (all []check) {
	for _, state := range states {
		all = append(all, check{prefix + state, func(s *Suite, ctx context.Context) (string, error) { return run(s, ctx, state) }})
	}
	return all
}

// shotLength is how long most acquisitions of the checks are.
const shotLength = 300 * time.Millisecond

// describedDevice: what the device says of itself makes sense.
func (s *Suite) describedDevice(ctx context.Context) (string, error) {
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	v := d.device
	if v.Vendor == "" || v.Model == "" {
		return "", errors.New("vendor or model is empty")
	}
	if v.ResolutionPs < 1 {
		return "", fmt.Errorf("a resolution of %d ps", v.ResolutionPs)
	}
	if s.Offer.Simulated(s.Config) && !v.Simulated {
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
func (s *Suite) threeShots(ctx context.Context) (string, error) {
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	var tags []uint64
	for n := range 3 {
		sh, err := d.arm(ctx, shotLength)
		if err == nil {
			err = sh.run(ctx)
		}
		if err == nil {
			err = sh.complete(ctx)
		}
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
func (s *Suite) orderOfCalls(ctx context.Context) (string, error) {
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	_, err = d.rpc.Start(calling, &pluginpb.StartRequest{})
	if err := refused("a start before Arm", err); err != nil {
		return "", err
	}
	if err := d.stop(ctx); err != nil {
		return "", fmt.Errorf("stopping what was never armed is no mistake: %w", err)
	}
	_, err = d.rpc.Configure(calling, s.configuration(d.process, s.Config))
	if err := refused("a second Configure", err); err != nil {
		return "", err
	}
	sh, err := d.arm(ctx, shotLength)
	if err != nil {
		return "", err
	}
	again := d.request(shotLength, d.inputs())
	again.Endpoint = sh.in.endpoint
	_, err = d.rpc.Arm(calling, again)
	if err := refused("a second Arm", err); err != nil {
		return "", err
	}
	if err := sh.run(ctx); err != nil {
		return "", err
	}
	_, err = d.rpc.Start(calling, &pluginpb.StartRequest{})
	if err := refused("a second Start", err); err != nil {
		return "", err
	}
	if err := sh.complete(ctx); err != nil {
		return "", err
	}
	return "5 calls out of order", d.close(ctx)
}

// armAfterError: an acquisition that the device cannot do is refused, and the
// device goes on.
func (s *Suite) armAfterError(ctx context.Context) (string, error) {
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	const missing = 999
	wrong := d.request(shotLength, []int{missing})
	in, err := newInlet(ctx, d.dir, [16]byte{200}, []uint16{10}, 1)
	if err != nil {
		return "", err
	}
	d.atEnd = append(d.atEnd, in.close)
	wrong.Endpoint = in.endpoint
	calling, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	_, err = d.rpc.Arm(calling, wrong)
	if err := refused(fmt.Sprintf("an acquisition from input %d, which the device does not have,", missing), err); err != nil {
		return "", err
	}
	sh, err := d.arm(ctx, shotLength)
	if err == nil {
		err = sh.run(ctx)
	}
	if err == nil {
		err = sh.complete(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("after an Arm that failed: %w", err)
	}
	return "refused, then acquired", d.close(ctx)
}

// deviceClock: tags have the times of the device. A process that stands still for
// a while finds the tags of that time, or says that they are lost; one that asks
// the PC for the time leaves a hole.
func (s *Suite) deviceClock(ctx context.Context) (string, error) {
	const still = 700 * time.Millisecond
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	sh, err := d.arm(ctx, 2500*time.Millisecond)
	if err == nil {
		err = sh.run(ctx)
	}
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
func (s *Suite) lateTimes(ctx context.Context) (string, error) {
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	sh, err := d.arm(ctx, 0) // no end: a device that is only played may be faster than time
	if err == nil {
		err = sh.run(ctx)
	}
	if err != nil {
		return "", err
	}
	const most = 1 << 54
	for began := time.Now(); time.Since(began) < s.Acquire+tagsWithin && !sh.over(); time.Sleep(10 * time.Millisecond) {
		if _, until := sh.in.total(); until > most || until >= uint64(s.Acquire)*1000 && time.Since(began) > s.Acquire {
			break
		}
	}
	if err := d.stop(ctx); err != nil {
		return "", err
	}
	if err := sh.whole(ctx); err != nil {
		return "", err
	}
	_, until := sh.in.total()
	if until < uint64(s.Acquire)*1000*8/10 {
		return "", fmt.Errorf("it came to %d ps only in %v", until, s.Acquire)
	}
	passed := ""
	for _, bits := range []int{32, 40, 53} {
		if until > 1<<bits {
			passed += fmt.Sprintf(" 2^%d", bits)
		}
	}
	if until < 1<<53 {
		return fmt.Sprintf("past%s ps; 2^53 ps are 2.6 hours, which --acquire '2.6 h' tries", passed), d.close(ctx)
	}
	return fmt.Sprintf("past%s ps", passed), d.close(ctx)
}

// over tells whether the streams have ended.
func (sh *shot) over() bool {
	select {
	case <-sh.in.done:
		return true
	default:
		return false
	}
}
