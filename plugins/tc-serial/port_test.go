package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sim/pty"
)

// TestPortIsOfOneProgram: who has it is named.
func TestPortIsOfOneProgram(t *testing.T) {
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	other := exec.Command("sh", "-c", `exec 3<>"$0"; echo open; read x`, line.Path())
	in, _ := other.StdinPipe()
	out, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	_, err = openPort("TDC1", line.Path(), time.Second)
	if wantCode(t, err, "port-busy"); err == nil || !strings.Contains(err.Error(), "in use by sh (process ") {
		t.Errorf("error %v does not name the program", err)
	}
	in.Close()
	other.Wait()
	first, err := openPort("TDC1", line.Path(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	_, err = openPort("TDC1", line.Path(), time.Second)
	if wantCode(t, err, "port-busy"); err == nil || !strings.Contains(err.Error(), "another controller of ") {
		t.Errorf("error %v does not say that this process has it", err)
	}
	first.close()
	if by := owner(line.Path()); by != "" {
		t.Errorf("the line is said to be that of %s still", by)
	}
	again, err := openPort("TDC1", line.Path(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	again.close()
	_, err = openPort("TDC1", "/dev/nowhere", time.Second)
	wantCode(t, err, "device-unreachable")
}

// TestWriteWatchdog: a line that takes nothing does not hold the driver.
func TestWriteWatchdog(t *testing.T) {
	line, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	p, err := openPort("TDC1", line.Path(), 200*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, p.write(strings.Repeat("TIME 1;", 100_000)), "device-timeout")
	p.close()
	line.Close() // ends the write that still waits
}

// TestLineIsFull: what is read of a line that was not until it took no more says so;
// where there was room for more, it does not, however late it is read.
func TestLineIsFull(t *testing.T) {
	device, err := pty.NewDevice("TDC1", pty.Config{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := openPort("TDC1", device.Path(), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	came, leave := p.listen()
	defer leave()
	// pour sends so many bytes, or fewer where the line takes none for a while.
	pour := func(most int) {
		for quiet := 0; quiet < 5 && most > 0; quiet++ {
			n, err := device.Line.Offer(make([]byte, most), 50*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if most -= n; n > 0 {
				quiet = 0
			}
		}
	}
	drain := func() (bytes, filled int) {
		for quiet := 0; quiet < 5; quiet++ {
			c := <-came
			if c.err != nil {
				t.Fatal(c.err)
			}
			if bytes += len(c.b); len(c.b) > 0 {
				quiet = 0
			}
			if c.filled {
				filled++
			}
		}
		return bytes, filled
	}
	withhold := func() { // nobody takes what is read, and so nothing is read in the end
		for t.Context().Err() == nil && len(came) < cap(came) {
			pour(1)
			for before := len(came); t.Context().Err() == nil && len(came) == before && before < cap(came); {
				time.Sleep(10 * time.Microsecond) // else a reader that is held up would leave bytes on the line
			}
		}
		time.Sleep(2 * unreadMost)
	}
	err = device.Serve(t.Context(), func(time.Time, []byte) {}, func(bool) {}, func(context.Context) error {
		for !device.Line.Attached() {
			time.Sleep(time.Millisecond)
		}
		withhold()
		pour(lineFull / 2)
		if _, n := drain(); n != 0 {
			t.Errorf("said %d times that the line was full, though there was room", n)
		}
		withhold()
		pour(1 << 20)
		if bytes, n := drain(); n == 0 || bytes < lineFull {
			t.Errorf("said %d times that the line was full, of %d bytes", n, bytes)
		}
		if p.unread.Load() < unreadMost.Milliseconds() {
			t.Errorf("not read for %d ms", p.unread.Load())
		}
		return pty.ErrUnplugged
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFind: by name, by USB ids and by serial number, exactly one.
func TestFind(t *testing.T) {
	root := t.TempDir()
	pc := system{filepath.Join(root, "dev"), filepath.Join(root, "sys")}
	put := func(path, text string) {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i, serial := range []string{"TDC1_0012", "TDC1_0013"} {
		n := string(rune('0' + i))
		put("dev/ttyACM"+n, "")
		put("dev/serial/by-id/usb-S-Fifteen_"+serial+"-if00", "")
		put("sys/devices/usb"+n+"/idVendor", "04b4\n")
		put("sys/devices/usb"+n+"/idProduct", "F00D\n")
		put("sys/devices/usb"+n+"/serial", serial+"\n")
		put("sys/devices/usb"+n+"/if0/interface", "")
		put("sys/class/tty/ttyACM"+n+"/x", "")
		if err := os.Symlink(filepath.Join(root, "sys/devices/usb"+n+"/if0"), filepath.Join(root, "sys/class/tty/ttyACM"+n+"/device")); err != nil {
			t.Fatal(err)
		}
	}
	for port, want := range map[string]string{"/dev/pts/7": "/dev/pts/7", "id:tdc1_0013": "usb-S-Fifteen_TDC1_0013-if00", "usb:04B4:f00d:TDC1_0012": "ttyACM0",
		"id:S-Fifteen": "device-ambiguous", "usb:04b4:f00d": "device-ambiguous", "id:TICC": "device-unreachable", "usb:1234:5678": "device-unreachable", "idn:TDC1": "device-unreachable"} {
		got, err := pc.find(context.Background(), port, "TDC1", quantity.Second)
		if strings.HasPrefix(want, "device-") {
			wantCode(t, err, want)
		} else if err != nil || !strings.HasSuffix(got, want) {
			t.Errorf("%s: %s, %v, want %s", port, got, err, want)
		}
	}
	for port, good := range map[string]bool{"sim": true, "/dev/ttyACM0": true, "id:x": true, "idn:TDC1": true, "usb:04b4:f00d": true, "usb:04b4": false, "": false, "/": false, "id:": false, "ttyACM0": false, "idx:a": false} {
		if isPort(port) != good {
			t.Errorf("%q: want %v", port, good)
		}
	}
}
