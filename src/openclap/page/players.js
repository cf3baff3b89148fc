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
element.addEventListener('click', (event) => act(event.target));
element.addEventListener('keydown', (event) => {
  if ((event.key === 'Enter' || event.key === ' ') && event.target.closest('svg') && act(event.target)) event.preventDefault();
});
element.addEventListener('play', (event) => {
  element.querySelectorAll('audio').forEach((other) => { if (other !== event.target) other.pause(); });
}, true);
