/* Record from the microphone as WAV, 16 bits, one channel, at the rate of the sound card. */

const HEADER_BYTES = 44;

export class Recorder {
  /** Ask for the microphone and begin; onFull is called once mostBytes are recorded. */
  async start(mostBytes, onFull) {
    if (!navigator.mediaDevices) throw new Error("Browsers record only at localhost or over https");
    const unchanged = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: unchanged });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("/static/recorder-worklet.js");
    const source = this.context.createMediaStreamSource(this.stream);
    this.node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    this.parts = [];
    this.samples = 0;
    this.node.port.onmessage = ({ data }) => {
      this.parts.push(data);
      this.samples += data.length;
      if (HEADER_BYTES + 2 * this.samples > mostBytes - 2 * data.length) onFull();
    };
    source.connect(this.node);
  }

  get seconds() { return this.context ? this.samples / this.context.sampleRate : 0; }

  /** End, and return the recording as a WAV file. */
  async stop() {
    const rate = this.context.sampleRate;
    this.stream.getTracks().forEach((track) => track.stop());
    await this.context.close();
    return new Blob([header(this.samples, rate), ...this.parts], { type: "audio/wav" });
  }
}

/** The header of a WAV file: RIFF, "fmt " with PCM of 16 bits and one channel, "data". */
function header(samples, rate) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const text = (at, word) => [...word].forEach((letter, n) => view.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, HEADER_BYTES - 8 + 2 * samples, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, 2 * samples, true);
  return view.buffer;
}
