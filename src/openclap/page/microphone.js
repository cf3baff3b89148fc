// The microphone as bare samples: no echo canceller, no noise suppressor and no gain control in between, for what they take for noise
// is what is watched for. Parcels go out one after another, so none is overtaken; what cannot be sent in time is counted as lost.
// `start` gives the name under which they are sent, or "!" and why there are none.
(() => {
  const EVERY = 400;  // ms between two parcels
  const SECONDS = 10, SAMPLES = 400000;  // that wait at most, whichever is less: a parcel is below what the server takes
  const PATIENCE = 30000;  // ms until the server must know the name
  const WORKLET = `registerProcessor('openclap-microphone', class extends AudioWorkletProcessor {
    constructor() { super(); this.held = new Int16Array(4096); this.filled = 0; }
    process([channels]) {
      const length = channels.length ? channels[0].length : 0;
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (const channel of channels) sum += channel[i];
        this.held[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(32768 * sum / channels.length)));
        if (this.filled === this.held.length) { this.port.postMessage(this.held.slice()); this.filled = 0; }
      }
      return true;
    }
  });`;
  let now = null;
  const stop = () => {
    const one = now;
    now = null;
    if (!one) return;
    clearInterval(one.timer);
    one.stream.getTracks().forEach((track) => track.stop());
    one.context.close();
  };
  const take = (one, samples) => {
    one.held.push(samples);
    one.count += samples.length;
    while (one.count > Math.min(SECONDS * one.context.sampleRate, SAMPLES)) {
      const old = one.held.shift();
      one.count -= old.length;
      one.lost += old.length / one.context.sampleRate;
    }
  };
  const send = async (one) => {
    if (one.busy || !one.count) return;
    one.busy = true;
    const { held, lost } = one;
    one.held = [];
    one.count = one.lost = 0;
    let status = 0;
    try {
      const answer = await fetch(`watched/${one.token}?rate=${one.context.sampleRate}&lost=${lost}`, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: new Blob(held) });
      status = answer.status;
    } catch { /* the network is away: it may come back */ }
    one.busy = false;
    if (status >= 200 && status < 300) { one.known = true; return; }
    if (status && (one.known || status !== 404 || performance.now() - one.since > PATIENCE)) {
      if (now === one) stop();
      return;
    }
    const later = one.held;  // not sent: it comes before what was heard meanwhile
    one.held = [];
    one.count = 0;
    one.lost += lost;
    [...held, ...later].forEach((samples) => take(one, samples));
  };
  const start = async () => {
    stop();
    if (!navigator.mediaDevices || !window.AudioWorkletNode) return '!insecure';
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
    } catch (error) {
      return ['NotAllowedError', 'SecurityError'].includes(error.name) ? '!denied' : '!none';
    }
    const context = new AudioContext();
    const code = URL.createObjectURL(new Blob([WORKLET], { type: 'text/javascript' }));
    await context.audioWorklet.addModule(code);
    URL.revokeObjectURL(code);
    const token = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const one = { stream, context, token, held: [], count: 0, lost: 0, busy: false, known: false, since: performance.now() };
    const node = new AudioWorkletNode(context, 'openclap-microphone', { numberOfOutputs: 0 });
    node.port.onmessage = (message) => take(one, message.data);
    context.createMediaStreamSource(stream).connect(node);
    stream.getTracks().forEach((track) => track.addEventListener('ended', () => { if (now === one) stop(); }));
    await context.resume();
    one.timer = setInterval(() => send(one), EVERY);
    now = one;
    return token;
  };
  window.openclapMicrophone = { start, stop };
})();
