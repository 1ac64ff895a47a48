package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

func TestMakePlan(t *testing.T) {
	period := record{Period: 200 * quantity.Millisecond}
	tests := []struct {
		name     string
		record   record
		duration time.Duration
		segment  time.Duration
		want     plan
		fails    bool
	}{
		{"whole records", period, 5 * time.Second, 0, plan{records: 25, period: 200e9, width: 200e9 - 40e3}, false},
		{"remainder spread", period, 500 * ms, 0, plan{records: 2, period: 250e9, width: 250e9 - 40e3}, false},
		{"rounded up to ps", period, 700*ms + 1, 0, plan{records: 3, period: 233_333_333_667, width: 233_333_333_667 - 40e3}, false},
		{"shorter than a record", period, 30 * ms, 0, plan{records: 1, period: 30e9, width: 30e9 - 40e3}, false},
		{"until stopped", period, 0, 0, plan{period: 200e9, width: 200e9 - 40e3}, false},
		{"segment shorter than records", record{Period: 2 * quantity.Second}, 4 * time.Second, time.Second, plan{records: 4, period: 1e12, width: 1e12 - 40e3}, false},
		{"segment shorter than any record", period, 0, ms, plan{period: 200e9, width: 200e9 - 40e3}, false},
		{"single", record{Single: true}, 5 * time.Second, time.Second, plan{records: 1, period: 5e12, width: 5e12, single: true}, false},
		{"single without end", record{Single: true}, 0, 0, plan{}, true},
		{"no time at all", period, 40 * time.Nanosecond, 0, plan{}, true},
		{"negative", period, -time.Second, 0, plan{}, true},
		{"a year", period, 365 * 24 * time.Hour, 0, plan{}, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := makePlan(test.record, sdk.Acquisition{Duration: test.duration, Segment: test.segment})
			if (err != nil) != test.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(plan{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPlanFills: records fill the duration, to less than one ps each, and none
// is shorter than asked unless it is the only one.
func TestPlanFills(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		duration := time.Duration(rapid.Int64Range(int64(time.Microsecond), int64(maxDuration)).Draw(t, "duration"))
		period := quantity.Time(rapid.Int64Range(int64(minRecord), int64(maxRecord)).Draw(t, "period"))
		p, err := makePlan(record{Period: period}, sdk.Acquisition{Duration: duration})
		if err != nil {
			t.Fatal(err)
		}
		asked, total := uint64(duration)*1000, uint64(p.records)*p.period
		if total < asked || total-asked >= uint64(p.records) {
			t.Errorf("%d records of %d ps are %d ps, want %d", p.records, p.period, total, asked)
		}
		if p.records > 1 && p.period < uint64(period) || p.period >= 2*uint64(period) {
			t.Errorf("period is %d ps, want about %d", p.period, period)
		}
		if p.period-p.width != deadTime {
			t.Errorf("dead time is %d ps", p.period-p.width)
		}
	})
}
