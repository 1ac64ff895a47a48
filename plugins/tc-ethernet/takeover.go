package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

const (
	closeTimeout = 5 * time.Second
	closePause   = 20 * time.Millisecond

	// freshLimit is how long ago an acquisition of the service must have had
	// news, or been opened, to be one that was left behind. A program opens its
	// acquisitions before the records begin, a run of tsrun up to a minute.
	freshLimit = 70 * time.Second
)

// takeOver checks that no other program works with the device, and closes what
// was left open. With force in the config it stops the other program.
func (d *driver) takeOver(ctx context.Context) error {
	stage, err := d.stage(ctx)
	if err != nil {
		return err
	}
	open, err := d.listOpen(ctx)
	if err != nil {
		return err
	}
	busy := stage == playing || stage == armedUp || stage == triggered
	if !d.config.Force {
		if busy && !d.recording {
			return d.isBusy(ctx, stage, open)
		}
		for _, a := range open {
			if !d.opened[a.id] && a.known && a.inactivity < freshLimit {
				return d.isBusy(ctx, stage, open)
			}
		}
	}
	if busy {
		d.log.Warn("stopping records that were going on", "stage", stage)
		if err := d.stopRecords(ctx); err != nil {
			return refused(err, "stop the records from the program that started them")
		}
	}
	return d.closeStale(ctx)
}

// isBusy says who works with the device, as far as device and service tell.
func (d *driver) isBusy(ctx context.Context, stage string, open []openAcquisition) error {
	number, err := d.tc.query(ctx, "REC:NUMber?")
	if err != nil {
		number = "?"
	}
	what := []string{fmt.Sprintf("its records are %s (REC:NUMber %s)", stage, clip(number))}
	for _, a := range open {
		what = append(what, a.String())
	}
	return &sdk.Failure{Code: "device-busy", Field: "address",
		Message: fmt.Sprintf("somebody else works with the Time Controller at %s: %s", d.endpoint.scpi, strings.Join(what, "; ")),
		Hint: "wait until that is over, or end it in the program that began it; if nobody needs it, " +
			"write force: true in this controller's config and it is stopped"}
}

// openAcquisition is an acquisition of this device that is open at the service.
type openAcquisition struct {
	id    string
	known bool // status is
	status
}

func (a openAcquisition) String() string {
	if !a.known {
		return fmt.Sprintf("acquisition %s is open", a.id)
	}
	return fmt.Sprintf("acquisition %s is open, with %d records and %d tags, and had news %v ago",
		a.id, a.records, a.tags, a.inactivity.Round(100*time.Millisecond))
}

// listOpen asks the service for the acquisitions of this device.
func (d *driver) listOpen(ctx context.Context) ([]openAcquisition, error) {
	ids, err := d.dlt.list(ctx)
	if err != nil {
		return nil, err
	}
	var open []openAcquisition
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if !d.isOwn(id) {
			continue
		}
		a := openAcquisition{id: id}
		var refusal *serviceError
		switch a.status, err = d.dlt.status(ctx, id); {
		case err == nil:
			a.known = true
		case !errors.As(err, &refusal): // it was closed meanwhile
			return nil, err
		}
		open = append(open, a)
	}
	return open, nil
}

// closeStale closes acquisitions of this device that someone left open; they
// would take its tags.
func (d *driver) closeStale(ctx context.Context) error {
	deadline := time.Now().Add(closeTimeout)
	for {
		stale, err := d.listOpen(ctx)
		if err != nil || len(stale) == 0 {
			return err
		}
		if time.Now().After(deadline) {
			return &sdk.Failure{Code: "service-busy", Field: "dlt",
				Message: fmt.Sprintf("close the acquisitions %v that were left open: they are still there after %v", stale, closeTimeout),
				Hint:    "restart the DataLinkTarget service"}
		}
		for _, a := range stale {
			d.log.Warn("closing an acquisition that was left open", "acquisition", a.id)
			var refusal *serviceError
			if _, _, err := d.closeOwn(ctx, a.id); err != nil && !errors.As(err, &refusal) {
				return err
			}
		}
		if !instrument.Pause(ctx, closePause) {
			return context.Cause(ctx)
		}
	}
}

// isOwn reports whether an acquisition of the service is of this device.
func (d *driver) isOwn(id string) bool {
	for n := range inputs {
		if id == d.rawID(n+1) {
			return true
		}
	}
	return false
}
