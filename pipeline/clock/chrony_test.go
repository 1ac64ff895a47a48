package clock

import (
	"math"
	"net"
	"time"

	"github.com/facebook/time/ntp/chrony"
)

func tracked(now time.Time) *chrony.Tracking {
	return &chrony.Tracking{IPAddr: net.IPv4(10, 0, 0, 1), Stratum: 2, RefTime: now.Add(-time.Second), LastUpdateInterval: 1,
		CurrentCorrection: 1.5e-6, RootDelay: 1e-3, RootDispersion: 2e-3}
}

// trackingFaults are what a chronyd may say that is not to be believed.
func trackingFaults(now time.Time) map[string]func(*chrony.Tracking) {
	return map[string]func(*chrony.Tracking){
		"not synchronised": func(t *chrony.Tracking) { t.LeapStatus = leapUnknown },
		"no stratum":       func(t *chrony.Tracking) { t.Stratum = 0 },
		"stratum 16":       func(t *chrony.Tracking) { t.Stratum = 16 },
		"old":              func(t *chrony.Tracking) { t.RefTime = now.Add(-time.Hour) },
		"to come":          func(t *chrony.Tracking) { t.RefTime = now.Add(time.Hour) },
		"no number":        func(t *chrony.Tracking) { t.RootDispersion = math.NaN() },
		"much too large":   func(t *chrony.Tracking) { t.CurrentCorrection = 1e12 },
		"for ever": func(t *chrony.Tracking) {
			t.RefTime, t.LastUpdateInterval = time.Unix(1, 0), math.Inf(1)
			t.RootDelay = math.Inf(1)
		},
	}
}
