package idq_test

import (
	"testing"

	"tsrun/sdk/quantity"
	"tsrun/sdk/realtime"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// A simulated device answers as ever at a priority, whether it is granted or not, and says
// which: a number that no system grants is none, and so is none that was asked for.
func TestPromptDevice(t *testing.T) {
	granted := realtime.Settings{Priority: idq.Prompt}.Probe()[0].Granted
	for priority, want := range map[int]bool{0: false, idq.Prompt: granted, 1000: false} {
		s := start(t, idq.Config{Priority: priority, Controller: sky.Controller{StartDelay: 3 * quantity.Millisecond}})
		if s.Prompt() != want {
			t.Errorf("priority %d: prompt %t, want %t", priority, s.Prompt(), want)
		}
		c, idle := s.scpi(), s.scpi() // which waits to the end
		idle.expect("REC:STAGe?", "IDLE")
		c.all("REC:ENAB ON;DUR 1e12;NUM INF")
		for range 3 {
			c.all("INPU1:COUN:MODE CYCLE")
			c.expect("REC:STAGe?", "IDLE")
			c.all("REC:PLAY")
			c.expect("rec:stage?", "PLAYing")
			c.all("REC:STOP")
		}
	}
}
