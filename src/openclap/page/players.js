// In a list of players: a marked span or a point plays its sound and stops the others; "more like this" tells the server.
const play = (audio) => {
  element.querySelectorAll('audio').forEach((other) => { if (other !== audio) other.pause(); });
  audio.currentTime = 0;
  audio.play().catch(() => {});
};
const act = (target) => {
  const span = target.closest('[data-play]');
  if (span) {
    element.querySelectorAll('.oc-now').forEach((one) => one.classList.remove('oc-now'));
    span.classList.add('oc-now');
    play(element.querySelector('audio[data-n="' + span.dataset.play + '"]'));
    return true;
  }
  const point = target.closest('[data-source]');
  if (point) {
    element.querySelectorAll('.oc-now').forEach((one) => one.classList.remove('oc-now'));
    point.classList.add('oc-now');
    const audio = element.querySelector('audio.oc-one');
    audio.src = 'sounds/' + point.dataset.source;
    element.querySelector('.oc-playing').textContent = point.dataset.name;
    play(audio);
    return true;
  }
  const more = target.closest('[data-more]');
  if (more) {
    trigger('select', { token: more.dataset.more });
    return true;
  }
  return false;
};
// What can be had no more is told where it was asked for, by the sentence that the server answers with.
const ask = (address) => fetch(address, { headers: { 'Accept-Language': document.documentElement.lang || 'en' } });
const lost = (beside, said) => {
  const place = beside.closest('.oc-hit, .oc-player, .oc-card') ?? element;
  let note = place.querySelector('.oc-lost');
  if (!note) {
    note = Object.assign(document.createElement('p'), { className: 'oc-doubt oc-lost' });
    note.setAttribute('role', 'alert');
    place.append(note);
  }
  note.textContent = said;
};
element.addEventListener('error', async (event) => {
  const audio = event.target;
  if (audio.tagName !== 'AUDIO' || !audio.getAttribute('src')) return;
  const answer = await ask(audio.src).catch(() => null);
  if (answer && !answer.ok) lost(audio, await answer.text());
}, true);
element.addEventListener('click', async (event) => {
  const link = event.target.closest('a[download]');
  if (!link || link.dataset.there) return;
  event.preventDefault();  // a download that fails tells the browser's own words, or nothing
  const answer = await ask(link.href).catch(() => null);
  if (answer && !answer.ok) return lost(link, await answer.text());
  answer?.body?.cancel();
  link.dataset.there = 'yes';
  link.click();
  delete link.dataset.there;
});
element.addEventListener('click', (event) => act(event.target));
element.addEventListener('keydown', (event) => {
  if ((event.key === 'Enter' || event.key === ' ') && event.target.closest('svg') && act(event.target)) event.preventDefault();
});
element.addEventListener('play', (event) => {
  element.querySelectorAll('audio').forEach((other) => { if (other !== event.target) other.pause(); });
}, true);
