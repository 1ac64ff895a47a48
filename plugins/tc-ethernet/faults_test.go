package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/instrument"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
)

// wantFailure checks that err tells its code and what to do.
func wantFailure(t testing.TB, err error, code, part string) {
	t.Helper()
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != code || f.Hint == "" {
		t.Fatalf("error %v, want a failure %s with a hint", err, code)
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("error %v, want one that mentions %q", err, part)
	}
}

// TestSurvives are faults that cost nothing: every tag arrives at its time.
func TestSurvives(t *testing.T) {
	for _, fault := range []string{"slow-reply=50 ms", "no-reply=1", "split-record=1", "empty-record=1", "stale-acquisition", "old-status-key"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				d := openSimulated(t, light(t, 11, fault), func(c *config) { c.Timeout = 500 * quantity.Millisecond })
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 850 * ms}
				out := newSink(a.Channels...)
				r, err := acquire(t, t.Context(), d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantTruth(t, r.Simulation, a, out)
			})
		})
	}
}

// TestRecordedLosses are faults that cost tags: what is missing is recorded,
// what is there is at its time.
func TestRecordedLosses(t *testing.T) {
	tests := []struct {
		fault, reason string
		lost          func(c idq.ChannelTruth) uint64 // tags of a record, about
		messages      uint64                          // that are ambiguous
		period        quantity.Time
	}{
		{"raw-errors=5", "counts 5 data-loss errors", func(idq.ChannelTruth) uint64 { return 5 }, 0, 300 * quantity.Millisecond},
		{"dlt-error=buffer overrun", "buffer overrun", func(idq.ChannelTruth) uint64 { return 1 }, 0, 300 * quantity.Millisecond},
		{"repeat-record=1", "contradict", nil, 1, 300 * quantity.Millisecond},
		{"swap-records=1", "late", nil, 2, quantity.Second},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				s := light(t, 12, test.fault)
				d := openSimulated(t, s, func(c *config) { c.Record.Period = test.period })
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 3 * test.period.Duration()}
				out := newSink(a.Channels...)
				r, err := acquire(t, t.Context(), d, a, out)
				if err != nil {
					t.Fatal(err)
				}
				wantPlaces(t, s, r.Simulation, a, out)
				for i, c := range a.Channels {
					got, truth, told := out.lanes[c.Stream], r.Simulation.Channels[i], r.Channels[i]
					if test.lost != nil && got.lost != test.lost(truth) {
						t.Errorf("channel %s: %d tags lost, want %d", c.Name, got.lost, test.lost(truth))
					}
					if told.Ambiguous != test.messages || got.tags+told.AmbiguousTags != told.Counted {
						t.Errorf("channel %s: %d messages are ambiguous, want %d; %d + %d tags of %d", c.Name,
							told.Ambiguous, test.messages, got.tags, told.AmbiguousTags, told.Counted)
					}
					if len(got.reasons) == 0 || !strings.Contains(got.reasons[0], test.reason) {
						t.Errorf("channel %s: reasons %q, want %q", c.Name, got.reasons, test.reason)
					}
				}
			})
		})
	}
}

// TestGivesUp are faults that end the acquisition: what was received is kept,
// the loss is recorded, and the error says what to do.
func TestGivesUp(t *testing.T) {
	tests := []struct{ fault, code, part string }{
		{"stuck-record=2", "record-stuck", "2 records"},
		{"dlt-crash=2", "service-lost", "restart"},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				d := openSimulated(t, light(t, 13, test.fault), func(c *config) { c.Timeout = 500 * quantity.Millisecond })
				d.patience = longer(t, 2*time.Second)
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 850 * ms}
				out := newSink(a.Channels...)
				began := time.Now()
				r, err := acquire(t, t.Context(), d, a, out)
				wantFailure(t, err, test.code, test.part)
				if took := time.Since(began); took > longer(t, 30*time.Second) {
					t.Errorf("took %v to give up", took)
				}
				for i, c := range a.Channels {
					got := out.lanes[c.Stream]
					if got.tags == 0 || got.lost == 0 || r.Channels[i].Ambiguous > 0 {
						t.Errorf("channel %s: %d tags, %d lost (%q), report %+v", c.Name, got.tags, got.lost, got.reasons, r.Channels[i])
					}
				}
			})
		})
	}
}

// TestTooFast: above what the device can take, it loses tags and says so.
func TestTooFast(t *testing.T) {
	d := openSimulated(t, light(t, 14, "high-rate"), nil)
	d.patience = 5 * time.Minute // so many tags take the simulator a while
	a := sdk.Acquisition{Channels: twoChannels(), Duration: 200 * ms}
	out := newSink(a.Channels...)
	if _, err := acquire(t, t.Context(), d, a, out); err != nil {
		t.Fatal(err)
	}
	if out.lanes[0].lost == 0 || !strings.Contains(strings.Join(out.lanes[0].reasons, " "), "10000000 tags per second") {
		t.Errorf("%d tags lost (%q)", out.lanes[0].lost, out.lanes[0].reasons)
	}
}

// TestOpenRefuses what is not a Time Controller, or does not answer as one.
func TestOpenRefuses(t *testing.T) {
	tests := []struct{ fault, code, part string }{
		{"wrong-identity", "wrong-device", "ID900"},
		{"scpi-error=REC:STAGe", "wrong-device", "too old"},
		{"scpi-error=*IDN", "wrong-device", "SCPI_ERR_"},
		{"silent", "device-unreachable", "switched on"},
		{"slow-reply=3 s", "device-timeout", "no reply"},
	}
	for _, test := range tests {
		t.Run(test.fault, func(t *testing.T) {
			t.Parallel()
			c := defaults()
			c.Address, c.Timeout = simulated, 200*quantity.Millisecond
			_, err := newDriver(t.Context(), environment(t, light(t, 15, test.fault)), c)
			wantFailure(t, err, test.code, test.part)
		})
	}
}

// TestOpenUnreachable: nothing listens at the ports.
func TestOpenUnreachable(t *testing.T) {
	s := openSimulated(t, light(t, 16), nil)
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	nobody := fmt.Sprintf("127.0.0.1:%d", port)
	c := defaults()
	c.Address = nobody
	_, err = newDriver(t.Context(), environment(t, light(t, 16)), c)
	wantFailure(t, err, "device-unreachable", "refused")
	c.Address, c.DLT = s.endpoint.scpi, nobody
	_, err = newDriver(t.Context(), environment(t, light(t, 16)), c)
	wantFailure(t, err, "service-unreachable", "must run on this PC")
}

// TestBadSimulation: a simulate section that makes no sense is a config mistake.
func TestBadSimulation(t *testing.T) {
	for _, text := range []string{`{"sede": 7}`, `{"controller": {"faults": ["nonsense"]}}`, `[`} {
		env := environment(t, light(t, 1))
		env.Simulation = []byte(text)
		c := defaults()
		c.Address = simulated
		_, err := newDriver(t.Context(), env, c)
		wantFailure(t, err, "bad-config", "simulate section")
	}
}

// TestArmRefuses what the device cannot do, and can be armed afterwards.
func TestArmRefuses(t *testing.T) {
	d := openSimulated(t, light(t, 17), nil)
	good := twoChannels()[0]
	tests := map[string]struct {
		change func(*sdk.Channel)
		field  string
	}{
		"input 5":          {func(c *sdk.Channel) { c.Input = 5 }, "channels.signal.on"},
		"negative delay":   {func(c *sdk.Channel) { c.Delay = -1 }, "channels.signal.delay"},
		"delay of 2 s":     {func(c *sdk.Channel) { c.Delay = 2e12 }, "channels.signal.delay"},
		"threshold of 9 V": {func(c *sdk.Channel) { c.Threshold = 9e6 }, "channels.signal.threshold"},
	}
	for name, test := range tests {
		c := good
		test.change(&c)
		err := d.Arm(t.Context(), sdk.Acquisition{Channels: []sdk.Channel{c}, Duration: time.Second})
		wantFailure(t, err, "bad-acquisition", good.Name)
		if got := failureField(err); got != test.field {
			t.Errorf("%s: about %q, want %q", name, got, test.field)
		}
	}
	err := d.Arm(t.Context(), sdk.Acquisition{Channels: []sdk.Channel{good, good}, Duration: time.Second})
	wantFailure(t, err, "bad-acquisition", "already")
	wantFailure(t, d.Arm(t.Context(), sdk.Acquisition{Duration: time.Second}), "bad-acquisition", "no channels")
	if err := d.Arm(t.Context(), sdk.Acquisition{Channels: []sdk.Channel{good}, Duration: time.Second}); err != nil {
		t.Error(err)
	}
}

// TestArmRefusedByDevice: a command that the device refuses is named, and
// nothing stays open.
func TestArmRefusedByDevice(t *testing.T) {
	for _, header := range []string{"REC:NUMber", "INPUt1:THREshold", "RAW3:SEND"} {
		t.Run(header, func(t *testing.T) {
			d := openSimulated(t, light(t, 18, "scpi-error="+header), nil)
			err := d.Arm(t.Context(), sdk.Acquisition{Channels: twoChannels(), Duration: time.Second})
			wantFailure(t, err, "device-refused", header)
			if open, err := d.dlt.list(t.Context()); err != nil || len(open) > 0 {
				t.Errorf("open acquisitions %v, %v", open, err)
			}
		})
	}
}

// TestNoReplyAnywhere: whichever request is not answered, the driver either
// goes on or says so, and works again afterwards.
func TestNoReplyAnywhere(t *testing.T) {
	for _, request := range []int{1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 28, 29, 30} { // all of them, but for repetitions
		t.Run(fmt.Sprint(request), func(t *testing.T) {
			t.Parallel()
			steady.Try(t, keepUp, func(t *steady.T) {
				d := openSimulated(t, light(t, 19, fmt.Sprintf("no-reply=%d", request)), func(c *config) { c.Timeout = 700 * quantity.Millisecond })
				a := sdk.Acquisition{Channels: twoChannels(), Duration: 250 * ms}
				failed := 0
				for failed < 2 {
					out := newSink(a.Channels...)
					err := d.Arm(t.Context(), a)
					if err == nil {
						err = d.acquire(t.Context(), sdk.NewStart(time.Time{}), out)
					}
					if err == nil {
						wantTruth(t, d.Report().(*report).Simulation, a, out)
						return
					}
					if failed++; !errors.Is(err, instrument.ErrNoReply) {
						t.Fatal(err)
					}
				}
				t.Error("did not work again after one reply that did not come")
			})
		})
	}
}
