// The page of openclap: four places in one document.
import { render } from "preact";
import "./css/app.css";
import { DropPlace } from "./add/drop";
import { Find } from "./find";
import { follow } from "./finding";
import { Header, Places } from "./header";
import { Help } from "./help";
import { listen } from "./keys";
import { keepFocus } from "./parts/focus";
import { Player } from "./player/player";
import { said } from "./said";
import { followListening } from "./recording/listening";
import { followPictures } from "./recording/pictures";
import { followLive } from "./live/live";
import { LivePlace } from "./live/place";
import { RecordingPlace } from "./recording/place";
import { followQuestions } from "./recording/questions";
import { followRecording } from "./recording/recording";
import { followSelection } from "./recording/selection";
import { followView } from "./recording/view";
import { readLibrary, readPage } from "./server";
import { state } from "./state";
import { followTeaching } from "./teach/lesson";
import { TeachPlace } from "./teach/place";
import { Tray } from "./tray/tray";

function Page() {
  const find = state.value.place === "find";
  return (
    <>
      <Header />
      <Find />
      <RecordingPlace />
      <LivePlace />
      <TeachPlace />
      {find && <Tray />}
      {find && <Player />}
      <Places bottom />
      <Help />
      <DropPlace />
      <p class="hidden" role="status" aria-live="polite">{said.value}</p>
    </>
  );
}

void readLibrary();
void readPage();
follow();
followRecording();
followSelection();
followView();
followPictures();
followListening();
followQuestions();
followLive();
followTeaching();
listen();
keepFocus();
render(<Page />, document.querySelector("#app")!);
