package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk/instrument"
)

// with is a check of something that is opened for it, and whose process is taken
// away after it.
func with[T interface{ end() }](open func(*Suite, context.Context) (T, error), run func(T, context.Context) (string, error)) func(*Suite, context.Context) (string, error) {
	return func(s *Suite, ctx context.Context) (string, error) {
		it, err := open(s, ctx)
		if err != nil {
			return "", err
		}
		defer it.end()
		return run(it, ctx)
	}
}

// inEachState is one check for each state into which it is brought first.
func inEachState[T interface{ end() }](prefix string, states []string, bring func(*Suite, context.Context, string) (T, error), run func(T, context.Context, string) (string, error)) (all []check) {
	for _, state := range states {
		all = append(all, check{prefix + state, with(
			func(s *Suite, ctx context.Context) (T, error) { return bring(s, ctx, state) },
			func(it T, ctx context.Context) (string, error) { return run(it, ctx, state) })})
	}
	return all
}

// bring opens a device and brings its driver into a state. The shot of a device
// that is only opened is empty.
func (s *Suite) bring(ctx context.Context, state string) (*shot, error) {
	d, err := s.device(ctx)
	if err != nil || state == opened {
		return &shot{driver: d}, err
	}
	var sh *shot
	switch {
	case state == ended:
		sh, err = d.shoot(ctx)
	case state == running:
		sh, err = d.run(ctx, 0)
	case state == waiting && !d.device.GetCan().GetScheduledStart():
		err = openError{"the device cannot be started at an instant"}
	default:
		if sh, err = d.arm(ctx, 0); err == nil && state == waiting {
			err = sh.start(ctx, time.Hour)
		}
	}
	if err != nil {
		d.end()
		return nil, err
	}
	return sh, nil
}

// stopIn: Stop ends every stream, twice is no mistake, and the next Arm works.
func (sh *shot) stopIn(ctx context.Context, state string) (string, error) {
	began := time.Now()
	if err := sh.stop(ctx); err != nil {
		return "", err
	}
	took := time.Since(began)
	if state != ended {
		if err := sh.whole(ctx); err != nil {
			return "", err
		}
	}
	if err := sh.stop(ctx); err != nil {
		return "", fmt.Errorf("stopping twice is no mistake: %w", err)
	}
	if sh.protocol >= 2 {
		if _, err := sh.shoot(ctx); err != nil {
			return "", fmt.Errorf("the shot after it: %w", err)
		}
	}
	tags, _ := sh.in.total()
	return fmt.Sprintf("stopped in %v with %d tags", took.Round(time.Millisecond), tags), sh.close(ctx)
}

// closeIn: Close lets go in every state, and no process is left.
func (sh *shot) closeIn(ctx context.Context, state string) (string, error) {
	began := time.Now()
	if err := sh.close(ctx); err != nil {
		return "", err
	}
	if state != opened && state != ended {
		if err := sh.whole(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("gone in %v", time.Since(began).Round(time.Millisecond)), nil
}

// hostGoneIn: without its host the process makes its device safe and goes, also
// where no kernel tells it.
func (sh *shot) hostGoneIn(context.Context, string) (string, error) {
	return sh.vanished(false)
}

// vanished lets the host be gone, and says whether a process is left.
func (p *process) vanished(signalled bool) (string, error) {
	began := time.Now()
	p.vanish()
	if signalled {
		terminate(p.pid())
	}
	if err := p.left(); err != nil {
		return "", fmt.Errorf("the host is gone: %w", err)
	}
	return fmt.Sprintf("gone in %v", time.Since(began).Round(time.Millisecond)), nil
}

// killedAtEachStep: the host is killed after each step from the start of the
// process on, and the kernel says so with SIGTERM.
func killedAtEachStep() []check {
	connected := func(s *Suite, ctx context.Context) (*process, error) {
		p, err := s.begin(ctx)
		if err == nil {
			err = p.connect()
		}
		return p, err
	}
	vanished := func(p *process, _ context.Context) (string, error) { return p.vanished(true) }
	return []check{
		{"host-killed-handshake", with((*Suite).begin, vanished)},
		{"host-killed-connected", with(connected, vanished)},
		{"host-killed-leased", with((*Suite).open, vanished)},
	}
}

// consumerPauses: what the core does not take for a while comes later, whole.
func (d *driver) consumerPauses(ctx context.Context) (string, error) {
	const length, pause = 2 * time.Second, 1500 * time.Millisecond
	sh, err := d.run(ctx, length)
	if err != nil {
		return "", err
	}
	resume := sh.in.pause()
	instrument.Pause(ctx, pause)
	resume()
	if err := sh.complete(ctx); err != nil {
		return "", err
	}
	tags, _ := sh.in.total()
	return fmt.Sprintf("paused for %v, %d tags", pause, tags), d.close(ctx)
}

// consumerGoes: a core that has died ends the acquisition with a failure, and the
// device is still closed.
func (d *driver) consumerGoes(ctx context.Context) (string, error) {
	sh, err := d.run(ctx, 0)
	if err != nil {
		return "", err
	}
	sh.in.drop()
	e, err := sh.ended(ctx)
	if err != nil {
		return "", err
	}
	if e.Failure == nil || e.Failure.Message == "" {
		return "", errors.New("nobody takes the tags any more, and the acquisition ended without a failure")
	}
	if err := d.stop(ctx); err != nil {
		return "", err
	}
	return e.Failure.Message, d.close(ctx)
}
