package sdktest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// bring opens a device and brings its driver into a state. The shot is nil where
// it has none.
func (s *Suite) bring(ctx context.Context, state string) (*driver, *shot, error) {
	d, err := s.device(ctx)
	if err != nil || state == opened {
		return d, nil, err
	}
	duration := time.Duration(0)
	if state == ended {
		duration = shotLength
	}
	sh, err := d.arm(ctx, duration)
	switch {
	case err != nil || state == armed:
	case state == waiting && !d.device.GetCan().GetScheduledStart():
		err = openError{"the device cannot be started at an instant"}
	case state == waiting:
		err = sh.start(ctx, time.Hour)
	default:
		err = sh.run(ctx)
	}
	if err == nil && state == ended {
		err = sh.complete(ctx)
	}
	if err != nil {
		d.end()
		return nil, nil, err
	}
	return d, sh, nil
}

// stopIn: Stop ends every stream, twice is no mistake, and the next Arm works.
func (s *Suite) stopIn(ctx context.Context, state string) (string, error) {
	d, sh, err := s.bring(ctx, state)
	if err != nil {
		return "", err
	}
	defer d.end()
	began := time.Now()
	if err := d.stop(ctx); err != nil {
		return "", err
	}
	took := time.Since(began)
	if state != ended {
		if err := sh.whole(ctx); err != nil {
			return "", err
		}
	}
	if err := d.stop(ctx); err != nil {
		return "", fmt.Errorf("stopping twice is no mistake: %w", err)
	}
	if d.protocol >= 2 {
		next, err := d.arm(ctx, shotLength)
		if err == nil {
			err = next.run(ctx)
		}
		if err == nil {
			err = next.complete(ctx)
		}
		if err != nil {
			return "", fmt.Errorf("the shot after it: %w", err)
		}
	}
	tags, _ := sh.in.total()
	return fmt.Sprintf("stopped in %v with %d tags", took.Round(time.Millisecond), tags), d.close(ctx)
}

// closeIn: Close lets go in every state, and no process is left.
func (s *Suite) closeIn(ctx context.Context, state string) (string, error) {
	d, sh, err := s.bring(ctx, state)
	if err != nil {
		return "", err
	}
	defer d.end()
	began := time.Now()
	if err := d.close(ctx); err != nil {
		return "", err
	}
	if sh != nil && state != ended {
		if err := sh.whole(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("gone in %v", time.Since(began).Round(time.Millisecond)), nil
}

// hostGoneIn: without its host the process makes its device safe and goes, also
// where no kernel tells it.
func (s *Suite) hostGoneIn(ctx context.Context, state string) (string, error) {
	d, _, err := s.bring(ctx, state)
	if err != nil {
		return "", err
	}
	defer d.end()
	return s.vanished(d.process, false)
}

// vanished lets the host be gone, and says whether a process is left.
func (s *Suite) vanished(p *process, signalled bool) (string, error) {
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
func killedAtEachStep() (all []check) {
	steps := map[string]func(*Suite, context.Context) (*process, error){
		"handshake": func(s *Suite, ctx context.Context) (*process, error) { return s.begin(ctx) },
		"connected": func(s *Suite, ctx context.Context) (*process, error) {
			p, err := s.begin(ctx)
			if err == nil {
				err = p.connect()
			}
			return p, err
		},
		"leased": func(s *Suite, ctx context.Context) (*process, error) { return s.open(ctx) },
	}
	for _, step := range []string{"handshake", "connected", "leased"} {
		all = append(all, check{"host-killed-" + step, func(s *Suite, ctx context.Context) (string, error) {
			p, err := steps[step](s, ctx)
			if err != nil {
				return "", err
			}
			defer p.end()
			return s.vanished(p, true)
		}})
	}
	return all
}

// consumerPauses: what the core does not take for a while comes later, whole.
func (s *Suite) consumerPauses(ctx context.Context) (string, error) {
	const length, pause = 2 * time.Second, 1500 * time.Millisecond
	d, err := s.device(ctx)
	if err != nil {
		return "", err
	}
	defer d.end()
	sh, err := d.arm(ctx, length)
	if err == nil {
		err = sh.run(ctx)
	}
	if err != nil {
		return "", err
	}
	resume := sh.in.pause()
	time.Sleep(pause)
	resume()
	if err := sh.complete(ctx); err != nil {
		return "", err
	}
	tags, _ := sh.in.total()
	return fmt.Sprintf("paused for %v, %d tags", pause, tags), d.close(ctx)
}

// consumerGoes: a core that has died ends the acquisition with a failure, and the
// device is still closed.
func (s *Suite) consumerGoes(ctx context.Context) (string, error) {
	d, sh, err := s.bring(ctx, running)
	if err != nil {
		return "", err
	}
	defer d.end()
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
