package sky

// Detections are what the clock of one controller says of the detections of
// several inputs, all in one order of time.
type Detections struct {
	inputs []detecting
}

// detecting is one input.
type detecting struct {
	number  int
	stamps  *Stamps
	pending []int64 // from head on
	head    int
}

// NewDetections opens inputs 1 to n; source gives the detections of one from ps
// picoseconds after the start on.
func NewDetections(c func() Clock, n int, source func(input int, from int64) Source) *Detections {
	d := &Detections{}
	for input := 1; input <= n; input++ {
		d.inputs = append(d.inputs, detecting{number: input,
			stamps: NewStamps(c(), 0, func(from int64) Source { return source(input, from) })})
	}
	return d
}

// Until calls yield with every stamp below limit that was not given out before,
// oldest first, and its input.
func (d *Detections) Until(limit int64, yield func(at int64, input int)) {
	for i := range d.inputs {
		in := &d.inputs[i]
		in.pending, in.head = in.pending[:0], 0
		in.stamps.Until(limit, func(at int64) { in.pending = append(in.pending, at) })
	}
	for {
		var first *detecting
		for i := range d.inputs {
			in := &d.inputs[i]
			if in.head < len(in.pending) && (first == nil || in.pending[in.head] < first.pending[first.head]) {
				first = in
			}
		}
		if first == nil {
			return
		}
		yield(first.pending[first.head], first.number)
		first.head++
	}
}

// Eye is what a simulated controller looks through: at the light, or at a
// recording.
type Eye struct {
	Light      Settings
	Controller Controller
	Serial     string // keys what the inputs detect and how the clock wanders
	recording  *Recording
}

// NewEye checks the settings and reads the recording to replay, if any.
func NewEye(light Settings, c Controller, serial string) (*Eye, error) {
	e := &Eye{Light: light, Controller: c, Serial: serial}
	err := light.Check()
	if err == nil {
		err = c.Check()
	}
	if err == nil && c.Replay != nil {
		e.recording, err = OpenReplay(*c.Replay)
	}
	return e, err
}

// Clock is the clock of an acquisition; one that is locked to a reference keeps
// true time, but for its offset. Each call returns one of its own, as a clock is
// not for concurrent use.
func (e *Eye) Clock(locked bool) Clock {
	c := Clock{Offset: int64(e.Controller.ClockOffset)}
	if !locked {
		c.Drift = e.Controller.Drift
		c.Wander = NewWander(e.Light.Seed, e.Serial, e.Controller.WhiteFM, e.Controller.RandomWalkFM)
	}
	return c
}

// Detections are those of inputs 1 to n of an acquisition that begins at start.
func (e *Eye) Detections(n int, start Instant, locked bool) *Detections {
	return NewDetections(func() Clock { return e.Clock(locked) }, n, func(input int, from int64) Source {
		if e.recording != nil {
			return e.recording.Input(input, from)
		}
		return NewInput(e.Light, e.Controller, e.Serial, input, start, from)
	})
}
