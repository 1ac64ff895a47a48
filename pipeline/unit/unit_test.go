package unit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/internal/need"
)

func bob() Options {
	return Options{Program: "/usr/bin/true", Node: "bob", Master: "10.0.0.1:5559", TLS: "auto"}
}

func TestText(t *testing.T) {
	system, err := bob().Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ExecStart=/usr/bin/true --mode slave --node bob --master 10.0.0.1:5559 --tls auto --data %S/tsrun/bob\n",
		"DynamicUser=yes\n", "WatchdogSec=", "LimitRTPRIO=", "NoNewPrivileges=yes\n", "WantedBy=multi-user.target\n"} {
		if !strings.Contains(system, want) {
			t.Errorf("no %q in\n%s", want, system)
		}
	}
	own := bob()
	own.User, own.Data = true, "/home/bob/tags"
	user, err := own.Text()
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"User=", "%i", "EnvironmentFile", "TSRUN_MASTER", "multi-user", "Protect"} {
		if strings.Contains(user, not) {
			t.Errorf("%q in\n%s", not, user)
		}
	}
	if !strings.Contains(user, "--data /home/bob/tags\n") || strings.Contains(system, "%i") {
		t.Errorf("%s\n%s", user, system)
	}
}

func TestRefusesPaths(t *testing.T) {
	for _, path := range []string{"", "tsrun", "/a b/tsrun", "/a\nExecStartPre=/bin/evil", "/%h/tsrun", "/$HOME/tsrun", `/a"b`} {
		o := bob()
		o.Program = path
		if text, err := o.Text(); err == nil {
			t.Errorf("%q became\n%s", path, text)
		}
		o = bob()
		o.User = true
		if o.Data = path; path == "" {
			continue
		}
		if _, err := o.Text(); err == nil {
			t.Errorf("data in %q", path)
		}
	}
}

func TestDataIsOfUsers(t *testing.T) {
	o := bob()
	o.Data = "/data"
	if _, err := o.Text(); err == nil || !strings.Contains(err.Error(), "--user") {
		t.Error(err)
	}
}

func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "systemd", "user")
	for range 2 { // again changes nothing
		if path, err := bob().Install(dir, false); err != nil || path != filepath.Join(dir, "tsrun-slave-bob.service") {
			t.Fatal(path, err)
		}
	}
	other := bob()
	other.Master = "10.0.0.2:5559"
	if _, err := other.Install(dir, false); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Error(err)
	}
	if _, err := other.Install(dir, true); err != nil {
		t.Error(err)
	}
	found, err := os.ReadDir(dir)
	if err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, other.Name()))
	if err != nil || !strings.Contains(string(text), "10.0.0.2") {
		t.Errorf("%s, %v", text, err)
	}
}

// TestSystemdTakesThem: both units are understood, without a remark.
func TestSystemdTakesThem(t *testing.T) {
	verify := need.Tool(t, "systemd-analyze", "systemd")
	dir := t.TempDir()
	if _, err := bob().Install(dir, false); err != nil {
		t.Fatal(err)
	}
	packaged := strings.Replace(Packaged, "/usr/bin/tsrun", "/usr/bin/true", 1)
	packaged = strings.Replace(packaged, "EnvironmentFile=", "EnvironmentFile=-", 1)
	if err := os.WriteFile(filepath.Join(dir, "tsrun-slave@.service"), []byte(packaged), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tsrun-slave-bob.service", "tsrun-slave@bob.service"} {
		out, err := exec.Command(verify, "verify", "--man=no", filepath.Join(dir, name)).CombinedOutput()
		if err != nil || strings.Contains(string(out), "tsrun-slave") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
