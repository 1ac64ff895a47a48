package idq

import (
	"strconv"

	"tsrun/sim/sky"
)

// generator is what a GENerator block does, beside its settings. Its pulses
// lie on a line of its own, which whoever waits for them listens to.
type generator struct {
	line  *startLine
	armed *sky.Instant // since when it waits for its trigger; nil: it does not
}

// generatorEnabled opens the shared START line early, so that armed
// simulators are there when the generator plays. A disabled one falls silent.
func (d *device) generatorEnabled(n int, v value) error {
	if v.text != "ON" {
		return d.generatorStop(n, value{})
	}
	if err := d.openLine(); err != nil {
		d.log.Warn("start line busy; another simulator's generator may be enabled", "error", err)
	}
	return nil
}

func (d *device) openLine() error {
	opened, err := d.line.open()
	if opened {
		d.tasks.run(d.line.serve)
	}
	return err
}

// generatorPlay starts the pulses of an enabled generator. The reply waits for
// the first. One that has a trigger waits for that instead.
func (d *device) generatorPlay(n int, _ value) error {
	at := "GENerator" + strconv.Itoa(n)
	if d.get(at+":ENABle").text != "ON" {
		return nil
	}
	if d.get(at+":TRIGger:LINK").text != unlinked {
		return d.generatorArm(n, value{})
	}
	t := train{First: sky.Now().Add(edgeLead), Period: d.get(at + ":PPERiod").n, Count: d.get(at + ":PNUMber").n}
	if after, reaches := d.drives(n); reaches {
		if err := d.openLine(); err != nil {
			return err
		}
		d.driver = n
		d.line.set(&train{First: t.First.Add(after), Period: t.Period, Count: t.Count})
	}
	d.generators[n].line.set(&t)
	d.hold = t.First
	return nil
}

// drives tells whether a generator's pulses come to the START line, and how
// much later. The line hangs on every output; where none is enabled, pulses
// come to it all the same.
func (d *device) drives(n int) (after int64, reaches bool) {
	reaches = true
	for out := 1; out <= outputs; out++ {
		at := "OUTPut" + strconv.Itoa(out)
		if d.get(at+":ENABle").text != "ON" {
			continue
		}
		reaches = false
		if o := d.trace(d.get(at + ":LINK").text); o.block == "GEN" && o.n == n {
			return o.delay + d.get(at+":DELAy").n, true
		}
	}
	return 0, reaches
}

func (d *device) generatorArm(n int, _ value) error {
	now := sky.Now()
	d.generators[n].armed = &now
	return nil
}

func (d *device) generatorDisarm(n int, _ value) error {
	d.generators[n].armed = nil
	return nil
}

func (d *device) generatorStop(n int, _ value) error {
	d.generators[n].line.set(nil)
	d.generators[n].armed = nil
	if d.driver == n {
		d.driver = 0
		d.line.set(nil)
	}
	return nil
}
