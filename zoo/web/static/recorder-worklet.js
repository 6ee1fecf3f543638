/* Runs beside the sound: hands on what the microphone gives, as 16-bit numbers, about ten times a second. */

const AT_ONCE = 4096;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.begin();
  }

  begin() {
    this.samples = new Int16Array(AT_ONCE);
    this.count = 0;
  }

  process([[channel]]) {
    for (const value of channel ?? []) {
      this.samples[this.count++] = Math.max(-32768, Math.min(32767, Math.round(value * 32767)));
      if (this.count === AT_ONCE) {
        this.port.postMessage(this.samples, [this.samples.buffer]);
        this.begin();
      }
    }
    return true;
  }
}

registerProcessor("recorder", Recorder);
