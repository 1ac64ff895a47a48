package main

import "testing"

func TestMasterAddress(t *testing.T) {
	for text, want := range map[string]string{
		"192.168.0.10": "192.168.0.10:5559", "192.168.0.10:17": "192.168.0.10:17", "alice.lab": "alice.lab:5559", "alice.lab:17": "alice.lab:17",
		"fd00::10": "[fd00::10]:5559", "[fd00::10]": "[fd00::10]:5559", "[fd00::10]:17": "[fd00::10]:17",
		"fe80::10%eth0": "[fe80::10%eth0]:5559", "[fe80::10%eth0]": "[fe80::10%eth0]:5559", "[fe80::10%eth0]:17": "[fe80::10%eth0]:17",
		"": "", ":17": "", "[fd00::10": "", "fd00::10]": "", "fe80::10%eth0]:17": "", "[fd00::10]:0": "", "alice:x": "", "alice lab": "", "[alice]": "",
	} {
		if got, err := masterAddress(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}
